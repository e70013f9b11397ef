"""How commands ask the projection: it is read up to the end of the log first, with a progress bar when that is long."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from streams.cli.output import note, progress_bar
from streams.cli.source import reading
from streams.projection.projection import FILE_NAME, Projection
from towline.settings import load_settings

#: Fewer are read before anybody looks for a bar.
_LONG_COUNT: Final = 2_000


@asynccontextmanager
async def projected(slice_file: Path | None = None) -> AsyncIterator[Projection]:
    """Open the projection of the log, or one in memory of a slice, with all that is there now.

    Raises:
        SettingsError: no broker is set.
        MisuseError: the slice cannot be used.
        ProjectionError: the file cannot be read or written.
        LogUnavailableError: the broker does not answer.
    """
    path = None if slice_file is not None else load_settings().data_dir / FILE_NAME
    bar = progress_bar()
    task = bar.add_task("reading the log", total=None)

    def show(done: int, total: int) -> None:
        if total >= _LONG_COUNT:
            bar.start()
            bar.update(task, completed=done, total=total)

    async with reading(slice_file) as log, Projection(log, path, tell=note, progress=show) as projection:
        try:
            await projection.catch_up()
        finally:
            # One that never began would leave an empty line.
            if bar.live.is_started:
                bar.stop()
        yield projection
