"""How far a partition is sealed, and the checkpoints of the topic that take it further."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from agents.retry import retrying
from schemas.catalogue import UnreadableRecordError, decode
from schemas.checkpoints import Checkpoint
from schemas.envelope import Envelope
from streams.log import LogRecord, ReadableLog, lost_tail
from streams.topics import CHECKPOINTS, DECISIONS
from towline.audit.checkpoints import PublicKeys, is_genuine
from towline.audit.tail import Leaf, Mark, SealBrokenError, Tail
from towline.policy.state.values import Value

#: Checkpoints are large: so many are read at once.
_CHUNK: Final = 20


@dataclass(slots=True)
class Seal:
    """How far a partition is sealed."""

    partition: int
    _tail: Tail = field(default_factory=Tail)
    #: What was taken and is not in the tail yet: a tuple for each record would be copied with each.
    new: list[Leaf] = field(default_factory=list)
    #: The offset in the topic of checkpoints up to which all are taken.
    position: int = 0
    #: When the last record was made that the last checkpoint covers; None before the first.
    time: str | None = None
    #: The next checkpoint is there, and covers records that are not taken yet.
    is_behind: bool = False

    @property
    def tail(self) -> Tail:
        """Everything that was taken."""
        if self.new:
            self._tail, self.new = self._tail.with_records(self.new), []
        return self._tail

    @tail.setter
    def tail(self, tail: Tail) -> None:
        self._tail = tail

    @property
    def waiting(self) -> int:
        """How many records wait for a checkpoint."""
        return len(self._tail.leaves) + len(self.new)

    def value(self) -> Value:
        """Return this for a table, without what is not sealed: that is in the log."""
        return {"tail": self._tail.value(), "position": self.position, "time": self.time}

    @staticmethod
    def from_value(partition: int, value: Any) -> "Seal":
        """Return what :meth:`value` was made from; for None, the beginning."""
        if value is None:
            return Seal(partition)
        return Seal(partition, Tail.from_value(value["tail"]), position=value["position"], time=value["time"])


class SealSource:
    """The topic of checkpoints, read. ``quarantined`` are records, by partition and offset, that are passed over."""

    def __init__(
        self, log: ReadableLog, keys: PublicKeys, quarantined: Collection[tuple[int, int]] = frozenset()
    ) -> None:
        self._log = log
        self._keys = keys
        self._quarantined = quarantined

    async def following(self, seal: Seal, applied: int) -> AsyncIterator[bytes]:
        """Take the checkpoints that are there now, and yield the bytes of each; ``applied`` is the last decision taken.

        Raises:
            SealBrokenError: a checkpoint is not genuine, another is missing before it, or it committed to other
                records than the log has.
            LogError: the topic ends before what was read of it.
        """
        end = await retrying(partial(self._log.high_watermark, CHECKPOINTS, seal.partition))
        if end < seal.position:
            raise lost_tail(CHECKPOINTS, seal.partition, seal.position)
        seal.is_behind = False
        while seal.position < end:
            stop = min(seal.position + _CHUNK, end)
            for record in await retrying(partial(self._range, seal.partition, seal.position, stop)):
                if (record.partition, record.offset) not in self._quarantined:
                    checkpoint = self._genuine(record)
                    if self._is_next(seal, checkpoint):
                        if await self._is_beyond(seal, checkpoint, applied):
                            seal.position, seal.is_behind = record.offset, True
                            return
                        seal.tail, seal.time = seal.tail.after(Mark.of(checkpoint)), checkpoint.time
                        yield record.value or b""
            seal.position = stop

    def _genuine(self, record: LogRecord) -> Envelope[Checkpoint]:
        place = f"{CHECKPOINTS}/{record.partition}@{record.offset}"
        remedy = (
            "If another key of yours signed it, name its public key in audit.public_keys. If not, somebody else can "
            f"write to {CHECKPOINTS}: end that, then have {record.partition}/{record.offset} passed over with "
            "audit.quarantine"
        )
        try:
            found = decode(record.value or b"")
        except UnreadableRecordError as error:
            raise SealBrokenError(f"{place} is no checkpoint: {error}. {remedy}") from None
        data = found.data
        if not isinstance(data, Checkpoint) or data.partition != record.partition:
            raise SealBrokenError(f"{place} is no checkpoint of this partition. {remedy}")
        checkpoint = Envelope(found.id, found.source, found.subject, found.time, data)
        if not is_genuine(checkpoint, self._keys):
            raise SealBrokenError(f"{place} is signed with none of our keys. {remedy}")
        return checkpoint

    def _is_next(self, seal: Seal, checkpoint: Envelope[Checkpoint]) -> bool:
        """Tell whether a checkpoint goes on where we are; one that another sealer made meanwhile does not count."""
        mark, last = Mark.of(checkpoint), seal.tail.mark
        if seal.tail.follows(mark, checkpoint.data.previous):
            return True
        if mark.number > (-1 if last is None else last.number):
            raise SealBrokenError(
                f"{CHECKPOINTS}/{seal.partition}: the checkpoint before number {mark.number} is missing. "
                "towline audit verify tells what else is"
            )
        return False

    async def _is_beyond(self, seal: Seal, checkpoint: Envelope[Checkpoint], applied: int) -> bool:
        if checkpoint.data.size <= seal.tail.size:
            return False
        # Asked after the checkpoint was read: what it covers was in the log before it.
        if await retrying(partial(self._log.high_watermark, DECISIONS, seal.partition)) > applied + 1:
            return True
        raise SealBrokenError(
            f"{DECISIONS}/{seal.partition} has {seal.tail.size} records, but checkpoint {checkpoint.data.number} "
            f"committed to {checkpoint.data.size}: records are lost. towline audit verify tells which"
        )

    async def _range(self, number: int, start: int, stop: int) -> list[LogRecord]:
        return [record async for record in self._log.read(CHECKPOINTS, number, start, stop)]
