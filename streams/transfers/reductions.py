"""What a target tag got in place of a commanded index, as the outcomes in the log say: that of the wanted platforms."""

import asyncio
from typing import Final

from schemas.catalogue import UnreadableRecordError, decode
from schemas.commands import TargetCommand
from schemas.outcomes import Arrived
from schemas.references import Reference
from streams.log import EventLog
from streams.topics import EVENTS, partition_for, repository_key
from towline import limits

_Key = tuple[Reference, str]

#: Records with these bytes may tell of a reduced index, others do not: most need not be decoded.
_MARK: Final = b'"reduced_digest":"'


class Reductions:
    """The reduced indexes that the log tells of, read as far as they are asked for, and each part once."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._found: dict[_Key, str] = {}
        self._read_until: dict[int, int] = {}
        #: Whether there were more than are remembered; then what is not known may be in the log all the same.
        self._is_part = False
        self._alone = asyncio.Lock()

    async def of(self, command: TargetCommand) -> str | None:
        """Return what the last copy of a command's digest to its target tag left there in place of it, if anything.

        Raises:
            LogUnavailableError: the log cannot be read now.
        """
        key = (command.target, command.digest)
        partition = partition_for(repository_key(command.target.repository), await self._log.partitions(EVENTS))
        async with self._alone:
            await self._read(partition)
            if key not in self._found and self._is_part:
                self._read_until.pop(partition, None)
                return await self._read(partition, key)
            return self._found.get(key)

    async def _read(self, partition: int, wanted: _Key | None = None) -> str | None:
        """Read on in a partition, and return what became of ``wanted`` if that is told there."""
        last = None
        start = self._read_until.get(partition, await self._log.low_watermark(EVENTS, partition))
        end = await self._log.high_watermark(EVENTS, partition)
        async for record in self._log.read(EVENTS, partition, start, end):
            told = _reduction_in(record.value or b"")
            if told is not None:
                self._remember(*told)
                last = told[1] if told[0] == wanted else last
        self._read_until[partition] = end
        return last

    def _remember(self, key: _Key, digest: str) -> None:
        self._found[key] = digest
        if len(self._found) > limits.reduction_count:
            del self._found[next(iter(self._found))]
            self._is_part = True


def _reduction_in(value: bytes) -> tuple[_Key, str] | None:
    if _MARK not in value:
        return None
    try:
        data = decode(value).data
    except UnreadableRecordError:
        return None  # The evaluator makes its dead letter; an outcome it is not.
    if not isinstance(data, Arrived) or data.reduced_digest is None:
        return None
    return (data.target, data.digest), data.reduced_digest
