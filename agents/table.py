"""The table under the shell: a partitioned key-value store whose writes are confirmed by the broker.

:class:`Table` is what the shell needs; :class:`FaustTable` is Faust's table with its changelog topic and RocksDB.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, cast

import faust
import orjson
import rocksdict
from faust.types import TP

from agents.retry import retrying

Entry = tuple[bytes, bytes | None]
"""A key with the bytes it has from now on; None: it is gone."""

#: What Faust keeps in the same store about the store itself.
_OFFSET_KEY: Final = b"__faust\0offset__"


class Table(Protocol):
    """A store with one part for each partition of the topic that it goes with."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Return the bytes under a key, or None."""
        ...

    def items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield everything in a partition."""
        ...

    async def write(self, partition: int, entries: Sequence[Entry]) -> None:
        """Write entries; return when the broker has them in their order and the local store has all of them.

        Locally it is all or none. A crash in between leaves a beginning of the entries in the changelog.
        """
        ...


class StateTable(faust.Table[bytes, bytes]):
    """Faust's table, recovering so that an older entry never replaces a newer one.

    Faust takes the last record of the changelog. A worker that was stopped, lost its partitions and woke up writes
    older values late; each entry carries the offset of the log that made it, so the newer one is known.
    """

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Take a part of the changelog into the local store."""
        events = list(batch)
        newest: dict[tuple[int, bytes], int] = {}
        kept = [event for event in events if self._is_newest(event, newest)]
        super().apply_changelog_batch(kept)
        for event in events:
            tp = event.message.tp
            persisted = self.data.persisted_offset(tp)
            if persisted is None or event.message.offset > persisted:
                self.data.set_persisted_offset(tp, event.message.offset)

    def _is_newest(self, event: Any, newest: dict[tuple[int, bytes], int]) -> bool:
        message = event.message
        if message.value is None:
            newest.pop((message.partition, message.key), None)
            return True
        place = (message.partition, message.key)
        if place not in newest:
            local = self.data._db_for_partition(message.partition).get(message.key)
            newest[place] = -1 if local is None else written_at(local)
        if written_at(message.value) < newest[place]:
            return False
        newest[place] = written_at(message.value)
        return True


def written_at(entry: bytes) -> int:
    """Return the offset of the log that made an entry."""
    return int(orjson.loads(entry)["offset"])


class Changelog(Protocol):
    """Where a table writes its changelog."""

    async def append_entries(self, topic: str, partition: int, entries: Sequence[Entry]) -> int:
        """Write entries in their order; return the offset of the last once every in-sync replica has all of them.

        Raises:
            LogUnavailableError: they were not acknowledged in time; a beginning of them may or may not be there.
        """
        ...


class FaustTable:
    """A Faust table used by partition.

    Faust writes a table only inside an iteration, into the partition of the current event, and does not wait for the
    changelog. Here the changelog is written and awaited first, then the local store in one atomic batch, then Faust's
    own note of how far the store has come: the store is never ahead of the changelog and never torn.
    """

    def __init__(self, table: "faust.Table[bytes, bytes]", changelog: Changelog) -> None:
        self._table = table
        self._changelog = changelog
        self._topic: str = table.changelog_topic.get_topic_name()

    def _store(self, partition: int) -> Any:
        # Faust's mapping interface finds the partition by the current event; there is no public way to name it.
        return self._table.data._db_for_partition(partition)

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Return the bytes under a key, or None."""
        return cast("bytes | None", self._store(partition).get(key))

    def items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield everything in a partition."""
        for key, value in self._store(partition).items():
            if key != _OFFSET_KEY:
                yield key, value

    async def write(self, partition: int, entries: Sequence[Entry]) -> None:
        """Write entries to the changelog, then to the local store."""
        if not entries:
            return
        last = await retrying(lambda: self._changelog.append_entries(self._topic, partition, entries))
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in entries:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self._store(partition).write(batch)
        self._table.data.set_persisted_offset(TP(self._topic, partition), last)


class MemoryTable:
    """A table in memory, for simulations and tests of the shell."""

    def __init__(self) -> None:
        self.parts: dict[int, dict[bytes, bytes]] = {}

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Return the bytes under a key, or None."""
        return self.parts.get(partition, {}).get(key)

    def items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield everything in a partition."""
        yield from self.parts.get(partition, {}).items()

    async def write(self, partition: int, entries: Sequence[Entry]) -> None:
        """Write entries."""
        part = self.parts.setdefault(partition, {})
        for key, value in entries:
            if value is None:
                part.pop(key, None)
            else:
                part[key] = value
