"""Where the commands that only read take the log from: the broker of the settings, or an exported slice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from streams.cli.output import note, progress_bar
from streams.kafka_read_log import KafkaReadLog
from streams.log import ReadableLog
from streams.slices.form import Header
from streams.slices.reader import SliceLog, open_slice
from towline.settings import Settings, load_settings, places_of


@asynccontextmanager
async def reading(slice_file: Path | None = None, *, insist: bool = True) -> AsyncIterator[ReadableLog]:
    """Open the log of the settings, or a slice, to read it; nothing that is given this can write.

    ``insist``: refuse a slice that was cut off or altered. Without, it is a :class:`SliceLog` with ``problems``.

    Raises:
        SettingsError: no broker is set.
        LogUnavailableError: the broker does not answer.
        MisuseError: the slice cannot be used.
        StorageError: there is no room to unpack it.
    """
    if slice_file is None:
        async with KafkaReadLog(load_settings().kafka) as log:
            yield log
        return
    async with opened_slice(slice_file, insist=insist) as given:
        yield given


def opened_slice(path: Path, *, insist: bool = True) -> SliceLog:
    """Open a slice, and tell what it leaves out.

    Raises:
        MisuseError: the slice cannot be used.
        StorageError: there is no room to unpack it.
    """
    with progress_bar() as bar:
        task = bar.add_task(f"checking {path.name}", total=None)
        opened = open_slice(
            path, insist=insist, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    for line in told_of(opened.header):
        note(f"{path.name}: {line}")
    return opened


def told_of(header: Header) -> list[str]:
    """Return what a slice leaves out, for people who might take it for the whole log."""
    chosen, told = header.chosen, list[str]()
    if chosen.repositories:
        told.append(f"of the partitions of {', '.join(chosen.repositories)} only; it knows nothing of the others")
    if chosen.until:
        told.append(f"up to {chosen.until}")
    if chosen.since:
        told.append(f"commands and dead letters from {chosen.since} on only")
    return told


def quarantined(log: ReadableLog, settings: Settings) -> frozenset[tuple[int, int]]:
    """Return the partitions and offsets of the events that the evaluators of a log set aside."""
    return places_of(log.header.quarantine) if isinstance(log, SliceLog) else settings.worker.quarantined
