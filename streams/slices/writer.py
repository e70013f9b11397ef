"""Writing a slice: every record is searched for secrets before the file has its name."""

import gzip
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Final, cast

from schemas.instants import format_instant
from streams.files import written
from streams.log import ReadableLog
from streams.secrets.scanner import Finding, Scanner, SecretsFoundError
from streams.slices.form import Chosen, End, Header, end_line, header_line, record_line, scan_by, scan_line
from streams.slices.index import Progress
from streams.slices.selection import Choice, Ranges, choose, count_of
from towline import limits
from towline.settings import Place

_LEVEL: Final = 6
_PACKED: Final = ".gz"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written."""

    records: int
    sha256: str


async def write_slice(
    log: ReadableLog,
    path: Path,
    choice: Choice,
    scanner: Scanner,
    *,
    quarantine: tuple[Place, ...] = (),
    progress: Progress = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> Written:
    """Write what ``choice`` asks for to ``path``, packed when its name ends with ``.gz``.

    ``quarantine`` are the events that the evaluators set aside.

    Raises:
        SecretsFoundError: a record holds a secret; nothing is left under the name.
        StorageError: the file cannot be written; nothing is left under the name.
        LogUnavailableError: the log cannot be reached.
        TopicMismatchError: a topic is missing.
    """
    header = _header(choice, await choose(log, choice), quarantine)
    with written(path) as file:
        if path.suffix != _PACKED:
            return await _write(log, file, header, scanner, progress)
        # No name and no time in it: equal slices are equal files.
        with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
            return await _write(log, cast("IO[bytes]", packed), header, scanner, progress)


def _header(choice: Choice, ranges: Ranges, quarantine: tuple[Place, ...]) -> Header:
    chosen = Chosen(since=choice.since, until=choice.until, repositories=tuple(map(str, choice.repositories)))
    made_at = format_instant(datetime.now(UTC))
    return Header(
        slice=1, towline=version("towline"), made_at=made_at, chosen=chosen, quarantine=quarantine, topics=ranges
    )


async def _write(log: ReadableLog, file: IO[bytes], header: Header, scanner: Scanner, progress: Progress) -> Written:
    sink = _Sink(file)
    sink.write(header_line(header))
    total, done, records = count_of(header.topics), 0, 0
    found, findings = 0, list[Finding]()
    for topic, ranges in header.topics.items():
        for partition, kept in enumerate(ranges):
            if kept is None:
                continue
            async for batch in log.read_batches(topic, partition, kept.first, kept.end):
                for record in batch:
                    here = scanner.find(record)
                    found += len(here)
                    findings += here[: limits.told_secret_count - len(findings)]
                    sink.write(record_line(record))
                records += len(batch)
                progress(done + batch[-1].offset + 1 - kept.first, total)
            done += kept.end - kept.first
    if found:
        raise SecretsFoundError(findings, found)
    sink.write(scan_line(scan_by(scanner)))
    sha256 = sink.sha256.hexdigest()
    sink.write(end_line(End(records=records, sha256=sha256)))
    return Written(records, sha256)


class _Sink:
    """A file, and the hash of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, line: bytes) -> None:
        self.sha256.update(line)
        self._file.write(line)
