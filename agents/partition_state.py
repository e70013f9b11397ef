"""The state of one partition in a table, such that a crash between any two writes is harmless.

Beside its entries a partition has one *journal*: the last applied offset, the entries that the last batch changed, a
checksum over all entries, and the format that they are in. The journal is written first. Whoever opens the partition
after a crash writes what the journal has and the entries lack, and compares the checksum; if it differs, or the format
is another version's, the partition is rebuilt from the log.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

import orjson

from agents.table import Entry, Table
from towline.failpoints import Failpoints
from towline.policy.state.values import STATE_FORMAT, Value

JOURNAL_KEY: Final = b"\0journal"
NOTHING_APPLIED: Final = -1
#: Of the journals that did not tell.
_FIRST_FORMAT: Final = 1
_CHECKSUM_MODULUS: Final = 2**64


class StateMismatchError(Exception):
    """The entries are not what the journal says, or in another version's format: the log has to be folded anew."""


class PartitionState:
    """Reads and stages values, and commits them together with the offset that they belong to."""

    def __init__(self, table: Table, partition: int, agent: str, failpoints: Failpoints) -> None:
        self.partition = partition
        self.applied = NOTHING_APPLIED
        self._table = table
        self._agent = agent
        self._failpoints = failpoints
        self._checksum = 0
        self._staged: dict[str, Value | None] = {}
        #: What this batch read, in bytes and decoded: an event looks at a tag several times, and the commit once more.
        self._read: dict[str, tuple[bytes | None, Value | None]] = {}

    @property
    def is_changed(self) -> bool:
        """Whether anything is staged."""
        return bool(self._staged)

    @property
    def staged_count(self) -> int:
        """How many entries are staged."""
        return len(self._staged)

    async def open(self) -> None:
        """Read the journal, finish what it began, and check everything.

        Raises:
            StateMismatchError: the partition must be rebuilt.
        """
        journal = self._journal()
        if journal.format != STATE_FORMAT:
            raise StateMismatchError(
                f"partition {self.partition} is in format {journal.format}, this version keeps format {STATE_FORMAT}"
            )
        checksum, changed = 0, dict(journal.entries)
        for key, value in self._table.items(self.partition):
            if key == JOURNAL_KEY:
                continue
            if key not in changed:
                checksum += _checksum(key, value)
        checksum += sum(_checksum(key, value) for key, value in changed.items() if value is not None)
        if checksum % _CHECKSUM_MODULUS != journal.checksum:
            raise StateMismatchError(
                f"the entries of partition {self.partition} do not fit the journal at offset {journal.applied}"
            )
        unwritten = [entry for entry in journal.entries if self._table.get(self.partition, entry[0]) != entry[1]]
        await self._table.write(self.partition, unwritten)
        self.applied, self._checksum = journal.applied, journal.checksum

    def newest_offset(self) -> int:
        """Return the highest offset that any entry or the journal tells of; for a rebuild."""
        entries = [orjson.loads(value)["offset"] for key, value in self._table.items(self.partition)]
        return max(entries, default=NOTHING_APPLIED)

    async def clear(self) -> None:
        """Remove everything, the journal first: a crash in between leaves a mismatch, which is found again."""
        keys = sorted(key for key, _ in self._table.items(self.partition))
        await self._table.write(self.partition, [(key, None) for key in keys])
        self.applied, self._checksum, self._staged, self._read = NOTHING_APPLIED, 0, {}, {}

    def get(self, key: str) -> Value | None:
        """Return the value under ``key`` with what is staged, or None."""
        return self._staged[key] if key in self._staged else self._committed(key)[1]

    def items(self, prefix: str) -> Iterator[tuple[str, Value]]:
        """Yield what is committed under the keys that begin with ``prefix``, without remembering it."""
        for key, raw in self._table.items(self.partition):
            if key.startswith(prefix.encode()):
                yield key.decode(), orjson.loads(raw)["value"]

    def put(self, key: str, value: Value | None) -> None:
        """Stage a value; None removes the key."""
        self._staged[key] = value

    async def commit(self, applied: int) -> None:
        """Write what is staged, as the state after offset ``applied``."""
        entries: list[Entry] = []
        checksum = self._checksum
        for key, value in self._staged.items():
            old, _ = self._committed(key)
            new = None if value is None else orjson.dumps({"offset": applied, "value": value})
            checksum += (0 if new is None else _checksum(key.encode(), new)) - (
                0 if old is None else _checksum(key.encode(), old)
            )
            entries.append((key.encode(), new))
        checksum %= _CHECKSUM_MODULUS
        await self._table.write(self.partition, [(JOURNAL_KEY, _journal_bytes(applied, checksum, entries))])
        await self._failpoints.hit(f"{self._agent}.journal_written")
        await self._table.write(self.partition, entries)
        await self._failpoints.hit(f"{self._agent}.table_written")
        self.applied, self._checksum, self._staged, self._read = applied, checksum, {}, {}

    def _committed(self, key: str) -> tuple[bytes | None, Value | None]:
        found = self._read.get(key)
        if found is None:
            raw = self._table.get(self.partition, key.encode())
            found = self._read[key] = raw, None if raw is None else orjson.loads(raw)["value"]
        return found

    def _journal(self) -> "_Journal":
        raw = self._table.get(self.partition, JOURNAL_KEY)
        return _Journal(
            {"format": STATE_FORMAT, "offset": NOTHING_APPLIED, "checksum": "0", "entries": {}}
            if raw is None
            else orjson.loads(raw)
        )


class _Journal:
    def __init__(self, value: Mapping[str, Any]) -> None:
        self.format = int(value.get("format", _FIRST_FORMAT))
        self.applied = int(value["offset"])
        self.checksum = int(value["checksum"], 16)
        self.entries: list[Entry] = [
            (key.encode(), None if entry is None else orjson.dumps(entry)) for key, entry in value["entries"].items()
        ]


def _journal_bytes(applied: int, checksum: int, entries: list[Entry]) -> bytes:
    fragments = {key.decode(): None if value is None else orjson.Fragment(value) for key, value in entries}
    return orjson.dumps({"format": STATE_FORMAT, "offset": applied, "checksum": f"{checksum:x}", "entries": fragments})


def _checksum(key: bytes, value: bytes) -> int:
    # A sum over independent hashes does not depend on an order and changes with one entry at a time.
    return int.from_bytes(blake2b(key + b"\0" + value, digest_size=8).digest(), "big")
