"""Exporting the log, step by step: each chunk's files are on the disk before the manifest has them.

Whatever the moment at which an export is killed, the next one goes on with the plan that the manifest has, and the
files come out as they would have.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from schemas.catalogue import UnreadableRecordError, decode
from schemas.checkpoints import Checkpoint
from schemas.instants import Instant
from streams.export.chunks import Chunk, chunks
from streams.export.columns import COLUMNS, TABLES
from streams.export.formats import ENCODERS, Format
from streams.export.manifest import NAME, Coverage, Covering, ExportedFile, Manifest, read_manifest, write_manifest
from streams.export.rows import Row, row_of
from streams.files import part_of, written
from streams.log import LogRecord, ReadableLog, lost_tail
from streams.secrets.scanner import Scanner, SecretsFoundError
from streams.slices.form import Range, scan_by
from streams.slices.index import Progress
from streams.slices.selection import checkpoints_over
from streams.topics import CHECKPOINTS, DECISIONS
from towline import limits
from towline.errors import LogError, MisuseError, StorageError

_DAY_LENGTH: Final = len("2026-11-24")


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be exported."""

    formats: tuple[Format, ...]
    #: What was recorded from here on, and before; None: all.
    since: Instant | None = None
    until: Instant | None = None


async def export(
    log: ReadableLog,
    folder: Path,
    request: Request,
    scanner: Scanner,
    progress: Progress = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> Manifest:
    """Export what the log has now and the folder has not; return the manifest.

    Raises:
        MisuseError: the folder holds something else, or an export of something else.
        SecretsFoundError: a record holds a secret; it is not exported, what came before it is.
        StorageError: a file cannot be written; what came before it is exported.
        LogError: the log lost records that are not exported, or that are.
    """
    with _alone(folder):
        manifest = read_manifest(folder)
        if manifest is None:
            _check_empty(folder)
            manifest = await _new(log, request, scanner)
        _check_same(folder, manifest, request)
        if manifest.plan is not None:
            # One that was killed: its files are made as they would have been.
            manifest = await _Export(log, folder, manifest, scanner, progress).run()
        scan = scan_by(scanner)
        allowed = tuple(sorted({*manifest.scan.allowed, *scan.allowed}))
        planned = manifest.model_copy(
            update={"plan": await _plan(log, manifest), "scan": scan.model_copy(update={"allowed": allowed})}
        )
        write_manifest(folder, planned)
        return await _Export(log, folder, planned, scanner, progress).run()


def _check_empty(folder: Path) -> None:
    # One that was killed at its very beginning leaves an unfinished manifest.
    if any(path != part_of(folder / NAME) for path in folder.iterdir()):
        raise MisuseError(f"{folder} holds something that is no export: give a folder that is empty or new")


async def _new(log: ReadableLog, request: Request, scanner: Scanner) -> Manifest:
    covered: dict[str, tuple[Range, ...]] = {}
    for topic in TABLES:
        starts = [await log.low_watermark(topic, number) for number in range(await log.partitions(topic))]
        covered[topic] = tuple(Range(first=start, end=start) for start in starts)
    return Manifest(
        towline=version("towline"),
        formats=request.formats,
        since=request.since,
        until=request.until,
        covered=covered,
        plan=None,
        checkpoints=tuple(
            Coverage(partition=number, checkpoint=None, reason=_UNSEALED) for number in range(len(covered[DECISIONS]))
        ),
        scan=scan_by(scanner),
        files=(),
    )


_UNSEALED: Final = "no checkpoint is over these decisions yet"


def _check_same(folder: Path, manifest: Manifest, request: Request) -> None:
    if (manifest.formats, manifest.since, manifest.until) != (request.formats, request.since, request.until):
        raise MisuseError(
            f"{folder} is an export as {' and '.join(manifest.formats)} from {manifest.since or 'the beginning'} to "
            f"{manifest.until or 'now'}: ask for the same to go on with it, or give another folder"
        )


async def _plan(log: ReadableLog, manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """Return where each partition is exported to."""
    plan: dict[str, tuple[int, ...]] = {}
    for topic, ranges in manifest.covered.items():
        ends = []
        for partition, done in enumerate(ranges):
            if topic == CHECKPOINTS:
                # One over later decisions covers none of these; it comes when they do.
                decided = Range(first=0, end=plan[DECISIONS][partition])
                end = max(done.end, (await checkpoints_over(log, partition, decided)).end)
            else:
                end = await log.high_watermark(topic, partition)
            if end < done.end:
                raise lost_tail(topic, partition, done.end)
            if (low := await log.low_watermark(topic, partition)) > done.end:
                raise LogError(f"{topic} partition {partition} begins at {low}: what follows {done.end} was removed")
            ends.append(end)
        plan[topic] = tuple(ends)
    return plan


class _Export:
    """One export under way."""

    def __init__(
        self, log: ReadableLog, folder: Path, manifest: Manifest, scanner: Scanner, progress: Progress
    ) -> None:
        self._log = log
        self._folder = folder
        self._manifest = manifest
        self._scanner = scanner
        self._progress = progress

    async def run(self) -> Manifest:
        """Carry out the plan."""
        plan = self._manifest.plan or {}
        total = sum(sum(ends) for ends in plan.values())
        for topic, ends in plan.items():
            for partition, end in enumerate(ends):
                start = self._manifest.covered[topic][partition].end
                if start == end:
                    continue
                async for chunk in chunks(self._log, topic, partition, start, end):
                    self._keep(topic, partition, chunk)
                    self._progress(sum(done.end for all_ in self._manifest.covered.values() for done in all_), total)
        self._save(plan=None)
        return self._manifest

    def _keep(self, topic: str, partition: int, chunk: Chunk) -> None:
        """Write the files of a chunk, then the manifest that has them."""
        found = [finding for record in chunk.records for finding in self._scanner.find(record)]
        if found:
            raise SecretsFoundError(found[: limits.told_secret_count], len(found))
        files = [
            self._write(topic, partition, day, rows, format_)
            for day, rows in self._days(chunk.records).items()
            for format_ in self._manifest.formats
        ]
        done = list(self._manifest.covered[topic])
        done[partition] = Range(first=done[partition].first, end=chunk.end)
        self._save(
            covered={**self._manifest.covered, topic: tuple(done)},
            files=(*self._manifest.files, *files),
            checkpoints=_covering(self._manifest.checkpoints, chunk.records if topic == CHECKPOINTS else ()),
        )

    def _days(self, records: Sequence[LogRecord]) -> Mapping[str, list[Row]]:
        since, until = self._manifest.since or "", self._manifest.until
        days: dict[str, list[Row]] = {}
        for row in map(row_of, records):
            if since <= row["time"] and (until is None or row["time"] < until):
                days.setdefault(row["time"][:_DAY_LENGTH], []).append(row)
        return days

    def _write(self, topic: str, partition: int, day: str, rows: list[Row], format_: Format) -> ExportedFile:
        first, last = rows[0]["offset"], rows[-1]["offset"]
        path = f"{TABLES[topic]}/day={day}/part-{partition:04}-{first:012}.{format_}"
        content = ENCODERS[format_](COLUMNS[topic], rows)
        _make(self._folder / path, content)
        return ExportedFile(
            path=path,
            topic=topic,
            partition=partition,
            first=first,
            last=last,
            rows=len(rows),
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )

    def _save(self, **changes: object) -> None:
        self._manifest = self._manifest.model_copy(update=changes)
        write_manifest(self._folder, self._manifest)


def _covering(before: tuple[Coverage, ...], records: Sequence[LogRecord]) -> tuple[Coverage, ...]:
    """Return what covers the partitions after more checkpoints were exported."""
    known = {coverage.partition: coverage for coverage in before}
    for record in records:
        try:
            envelope = decode(record.value or b"")
        except UnreadableRecordError:
            continue
        if isinstance(data := envelope.data, Checkpoint):
            newest = Covering(
                id=envelope.id,
                number=data.number,
                size=data.size,
                root=data.root,
                last_offset=data.last_offset,
                offset=record.offset,
            )
            known[record.partition] = Coverage(partition=record.partition, checkpoint=newest)
    return tuple(known[partition] for partition in sorted(known))


def _make(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {path.parent}: {error.strerror}") from None
    with written(path) as file:
        file.write(content)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make sure that no other export writes to the folder; make it when it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StorageError(f"cannot use {folder}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MisuseError(f"another export writes to {folder}") from None
        yield
    finally:
        os.close(descriptor)
