"""What a sealer knows of a partition: the tree that is sealed, and the leaves that came after it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from schemas.checkpoints import Checkpoint
from schemas.envelope import Envelope
from schemas.instants import format_instant
from towline.audit.checkpoints import TOPIC, SealingKey
from towline.audit.merkle import EMPTY, Frontier

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: The last moment that an instant can tell. A record can claim any, and must be sealed all the same.
_LAST_MS: Final = 253_402_300_799_999


@dataclass(frozen=True, slots=True)
class Mark:
    """Of a checkpoint, what its successor and a sealer that finds it need."""

    id: str
    number: int
    size: int
    root: bytes

    @staticmethod
    def of(checkpoint: Envelope[Checkpoint]) -> "Mark":
        """Return the mark of a checkpoint."""
        data = checkpoint.data
        return Mark(checkpoint.id, data.number, data.size, bytes.fromhex(data.root))


class SealBrokenError(Exception):
    """The records are not those that a checkpoint committed to."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A partition's decisions up to some record."""

    #: The tree of the last checkpoint.
    sealed: Frontier = EMPTY
    #: The last checkpoint; None before the first.
    mark: Mark | None = None
    #: The leaf hashes of the records after it.
    leaves: tuple[bytes, ...] = ()
    #: Of the last record.
    last_offset: int = -1
    timestamp_ms: int = 0

    @property
    def size(self) -> int:
        """How many records there are, sealed or not."""
        return self.sealed.size + len(self.leaves)

    def with_record(self, leaf: bytes, offset: int, timestamp_ms: int) -> "Tail":
        """Return the tail with one more record."""
        return replace(self, leaves=(*self.leaves, leaf), last_offset=offset, timestamp_ms=timestamp_ms)

    def after(self, mark: Mark) -> "Tail":
        """Return the tail with a checkpoint that covers no more than what is here.

        Raises:
            SealBrokenError: it committed to other records.
        """
        count = mark.size - self.sealed.size
        tree = self.sealed.extended(self.leaves[:count])
        if count <= 0 or tree.root != mark.root:
            raise SealBrokenError(f"checkpoint {mark.number} committed to {mark.size} other records")
        return replace(self, sealed=tree, mark=mark, leaves=self.leaves[count:])

    def checkpoint(self, partition: int, key: SealingKey) -> Envelope[Checkpoint]:
        """Return the checkpoint over all that is here. There are leaves that no checkpoint has."""
        moment = _EPOCH + timedelta(milliseconds=min(max(self.timestamp_ms, 0), _LAST_MS))
        members = {
            "topic": TOPIC,
            "partition": partition,
            "number": 0 if self.mark is None else self.mark.number + 1,
            "previous": None if self.mark is None else self.mark.id,
            "size": self.size,
            "root": self.sealed.extended(self.leaves).root.hex(),
            "last_offset": self.last_offset,
            "leaves": tuple(leaf.hex() for leaf in self.leaves),
        }
        return key.sign(members, format_instant(moment))

    def value(self) -> dict[str, Any]:
        """Return this as the JSON value of a table."""
        mark = self.mark
        return {
            "mark": None if mark is None else [mark.id, mark.number, mark.size, mark.root.hex()],
            "nodes": [node.hex() for node in self.sealed.nodes],
            "leaves": [leaf.hex() for leaf in self.leaves],
            "last_offset": self.last_offset,
            "timestamp_ms": self.timestamp_ms,
        }

    @staticmethod
    def from_value(value: dict[str, Any]) -> "Tail":
        """Return what :meth:`value` was made from."""
        mark = value["mark"]
        found = None if mark is None else Mark(mark[0], mark[1], mark[2], bytes.fromhex(mark[3]))
        return Tail(
            Frontier(0 if found is None else found.size, tuple(map(bytes.fromhex, value["nodes"]))),
            found,
            tuple(map(bytes.fromhex, value["leaves"])),
            value["last_offset"],
            value["timestamp_ms"],
        )
