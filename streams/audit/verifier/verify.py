"""The verification of a log, a slice of one or a copy, partition by partition."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from streams.audit.verifier.chain import Placed, chain_of
from streams.audit.verifier.checkpoints import Keys, NoCheckpointError, Statement, read_checkpoint
from streams.audit.verifier.comparison import Comparison
from streams.audit.verifier.findings import CHECKPOINTS, DECISIONS, Finding
from streams.audit.verifier.telling import DETAILED_COUNT
from streams.log import LogRecord, ReadableLog
from towline.errors import MisuseError

Progress = Callable[[int, int], object]
"""Called with how many records are read, and how many there are."""

_OURS: Final = (CHECKPOINTS, DECISIONS)


@dataclass(frozen=True, slots=True)
class PartitionSeal:
    """How far a partition is sealed."""

    partition: int
    #: How many records the topic has, and how many the newest checkpoint covers.
    records: int
    sealed: int
    #: Records after those; nothing can be said of them yet.
    unsealed: int
    #: How many checkpoints the chain has, and the time that the last one tells.
    checkpoints: int
    time: str | None


@dataclass(frozen=True, slots=True)
class SealVerification:
    """What a verification came to."""

    partitions: list[PartitionSeal]
    findings: list[Finding]
    #: Findings that are not listed because their partition had so many.
    unlisted: int
    #: Checkpoints that stand there again, and those that a second sealer made: both harmless.
    repeated: int
    beside: int
    #: Lines of the checkpoints kept elsewhere that a crash tore apart.
    torn_lines: int

    @property
    def is_intact(self) -> bool:
        """Whether everything that was sealed is as it was sealed."""
        return not self.findings


@dataclass(slots=True)
class KeptCheckpoints:
    """Checkpoints that were kept elsewhere."""

    placed: list[Placed] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    torn_lines: int = 0


def read_kept(file: str, content: bytes, keys: Keys) -> KeptCheckpoints:
    """Read a file with a checkpoint on each line, such as ``audit.file``.

    Raises:
        MisuseError: no line is a checkpoint.
    """
    kept = KeptCheckpoints()
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            said = read_checkpoint(line)
        except NoCheckpointError:
            kept.torn_lines += 1
            continue
        if (finding := _distrust(said, keys, file, said.partition, number)) is not None:
            kept.findings.append(finding)
        else:
            kept.placed.append(Placed(said, number, file))
    if not kept.placed and not kept.findings:
        raise MisuseError(f"{file} has no checkpoint: give the file of audit.file, or lines of towline.checkpoints")
    return kept


async def verify_seals(
    log: ReadableLog, keys: Keys, kept: KeptCheckpoints | None = None, progress: Progress = lambda *_: None
) -> SealVerification:
    """Compare all decisions with the checkpoints of the log, and with those that were kept elsewhere."""
    kept = kept or KeptCheckpoints()
    partitions = await log.partitions(DECISIONS)
    ends = {
        (topic, number): (await log.low_watermark(topic, number), await log.high_watermark(topic, number))
        for topic in _OURS
        for number in range(partitions)
    }
    reading = _Reading(log, ends, progress)
    findings, unlisted = [*kept.findings, *_beyond(kept, partitions)], 0
    seals: list[PartitionSeal] = []
    counts: Counter[str] = Counter()
    for number in range(partitions):
        ours = [placed for placed in kept.placed if placed.said.partition == number]
        one = await _Partition(number, reading, keys).verify(ours)
        seals.append(one.seal)
        findings += one.findings
        unlisted += one.unlisted
        counts.update(repeated=one.repeated, beside=one.beside)
    return SealVerification(seals, findings, unlisted, counts["repeated"], counts["beside"], kept.torn_lines)


def _beyond(kept: KeptCheckpoints, partitions: int) -> list[Finding]:
    return [
        Finding(
            "partition-missing",
            placed.file or CHECKPOINTS,
            placed.said.partition,
            placed.place,
            placed.said.number,
            f"a checkpoint was kept of partition {placed.said.partition}, but the log has {partitions} partitions",
        )
        for placed in kept.placed
        if placed.said.partition >= partitions
    ]


def _distrust(said: Statement, keys: Keys, topic: str, partition: int, place: int) -> Finding | None:
    if said.key_id not in keys:
        text = f"checkpoint {said.number} is signed with the key {said.key_id}, which was not given"
        return Finding("key-unknown", topic, partition, place, said.number, text)
    if not said.is_signed(keys):
        text = f"the signature of what claims to be checkpoint {said.number} is wrong"
        return Finding("checkpoint-forged", topic, partition, place, said.number, text)
    return None


class _Reading:
    """Reads the topics, and tells how far that is."""

    def __init__(self, log: ReadableLog, ends: dict[tuple[str, int], tuple[int, int]], progress: Progress) -> None:
        self._log = log
        self._ends = ends
        self._progress = progress
        self._total = sum(high - low for low, high in ends.values())
        self._done = 0
        progress(0, self._total)

    async def batches(self, topic: str, partition: int, take: Callable[[list[LogRecord]], None]) -> None:
        low, high = self._ends[topic, partition]
        async for batch in self._log.read_batches(topic, partition, low, high):
            take(batch)
            self._done += len(batch)
            self._progress(self._done, self._total)


@dataclass(frozen=True, slots=True)
class _Outcome:
    seal: PartitionSeal
    findings: list[Finding]
    unlisted: int
    repeated: int
    beside: int


class _Partition:
    """The verification of one partition."""

    def __init__(self, number: int, reading: _Reading, keys: Keys) -> None:
        self._number = number
        self._reading = reading
        self._keys = keys
        self._in_topic: list[Placed] = []
        #: The numbers that checkpoints which are not genuine give themselves.
        self._claimed: set[int] = set()
        self._findings: list[Finding] = []
        self._records = 0

    async def verify(self, kept: Sequence[Placed]) -> _Outcome:
        await self._reading.batches(CHECKPOINTS, self._number, self._take_checkpoints)
        chain = chain_of(self._number, self._in_topic, kept, self._claimed)
        comparison = Comparison(self._number, chain)
        await self._reading.batches(DECISIONS, self._number, comparison.take)
        comparison.finish()
        last = chain.members[-1].said if chain.members else None
        seal = PartitionSeal(
            partition=self._number,
            records=comparison.records,
            sealed=comparison.sealed_count,
            unsealed=comparison.unsealed_count,
            checkpoints=len(chain.members),
            time=None if last is None else last.time,
        )
        findings = [*self._findings, *chain.findings, *comparison.findings]
        return _Outcome(
            seal,
            findings[:DETAILED_COUNT],
            max(0, len(findings) - DETAILED_COUNT) + comparison.unlisted,
            chain.repeated,
            len(chain.beside),
        )

    def _take_checkpoints(self, batch: list[LogRecord]) -> None:
        for record in batch:
            try:
                said = self._said(record)
            except NoCheckpointError as error:
                text = f"what stands at offset {record.offset} was not written by a sealer: {error}"
                finding = Finding("checkpoint-forged", CHECKPOINTS, self._number, record.offset, None, text)
                self._findings.append(finding)
                continue
            finding_ = _distrust(said, self._keys, CHECKPOINTS, self._number, record.offset)
            if finding_ is None and said.partition != self._number:
                text = f"checkpoint {said.number} of partition {said.partition} stands in partition {self._number}"
                finding_ = Finding("checkpoint-misplaced", CHECKPOINTS, self._number, record.offset, said.number, text)
            if finding_ is None:
                self._in_topic.append(Placed(said, record.offset))
            else:
                self._findings.append(finding_)
                self._claimed.add(said.number)

    def _said(self, record: LogRecord) -> Statement:
        said = read_checkpoint(record.value or b"")
        if record.key != str(said.partition).encode() or record.headers:
            raise NoCheckpointError("its key or its headers are not those of a checkpoint")
        return said
