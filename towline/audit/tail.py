"""What a sealer knows of a partition: the tree that is sealed, and the leaves that came after it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from schemas.checkpoints import Checkpoint
from schemas.envelope import Envelope
from schemas.instants import format_instant
from towline.audit.checkpoints import TOPIC, SealingKey
from towline.audit.merkle import EMPTY, Frontier
from towline.errors import LogError

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


@dataclass(frozen=True, slots=True)
class Leaf:
    """A record, as far as a checkpoint tells of it."""

    hash: bytes
    offset: int
    timestamp_ms: int


class SealBrokenError(LogError):
    """The log is not what was sealed: nothing may be sealed on top of it. ``towline audit verify`` finds the place."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A partition's decisions up to some record."""

    #: The tree of the last checkpoint.
    sealed: Frontier = EMPTY
    #: The last checkpoint; None before the first.
    mark: Mark | None = None
    #: Where the last record is that it covers; -1 before the first.
    last_offset: int = -1
    #: The records after it.
    leaves: tuple[Leaf, ...] = ()

    @property
    def size(self) -> int:
        """How many records there are, sealed or not."""
        return self.sealed.size + len(self.leaves)

    def with_records(self, leaves: Iterable[Leaf]) -> "Tail":
        """Return the tail with further records."""
        return replace(self, leaves=(*self.leaves, *leaves))

    def follows(self, mark: Mark, previous: str | None) -> bool:
        """Tell whether a checkpoint, which names the one before it, is the next one."""
        if self.mark is None:
            return mark.number == 0 and previous is None
        return mark.number == self.mark.number + 1 and previous == self.mark.id

    def after(self, mark: Mark) -> "Tail":
        """Return the tail with the next checkpoint, which covers no more than what is here.

        Raises:
            SealBrokenError: it committed to other records.
        """
        count = mark.size - self.sealed.size
        tree = self.sealed.extended(leaf.hash for leaf in self.leaves[:count])
        if count <= 0 or tree.root != mark.root:
            raise SealBrokenError(f"checkpoint {mark.number} committed to {mark.size} other records")
        return Tail(tree, mark, self.leaves[count - 1].offset, self.leaves[count:])

    def checkpoint(self, partition: int, key: SealingKey, count: int | None = None) -> Envelope[Checkpoint]:
        """Return the checkpoint over the first ``count`` leaves, or all of them; there is at least one."""
        leaves = self.leaves[:count]
        hashes = [leaf.hash for leaf in leaves]
        moment = _EPOCH + timedelta(milliseconds=min(max(leaves[-1].timestamp_ms, 0), _LAST_MS))
        members = {
            "topic": TOPIC,
            "partition": partition,
            "number": 0 if self.mark is None else self.mark.number + 1,
            "previous": None if self.mark is None else self.mark.id,
            "size": self.sealed.size + len(leaves),
            "root": self.sealed.extended(hashes).root.hex(),
            "last_offset": leaves[-1].offset,
            "leaves": tuple(leaf.hex() for leaf in hashes),
        }
        return key.sign(members, format_instant(moment))

    def value(self) -> dict[str, Any]:
        """Return what is sealed as the JSON value of a table; the leaves can be read again from the log."""
        mark = self.mark
        return {
            "mark": None if mark is None else [mark.id, mark.number, mark.size, mark.root.hex()],
            "nodes": [node.hex() for node in self.sealed.nodes],
            "last_offset": self.last_offset,
        }

    @staticmethod
    def from_value(value: Mapping[str, Any]) -> "Tail":
        """Return what :meth:`value` was made from, without its leaves."""
        mark = value["mark"]
        found = None if mark is None else Mark(mark[0], mark[1], mark[2], bytes.fromhex(mark[3]))
        nodes = tuple(map(bytes.fromhex, value["nodes"]))
        return Tail(Frontier(0 if found is None else found.size, nodes), found, value["last_offset"])
