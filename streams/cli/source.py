"""Where the commands that only read take the log from: the broker of the settings, or an exported slice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from streams.kafka_read_log import KafkaReadLog
from streams.log import ReadableLog
from towline.errors import MisuseError
from towline.settings import load_settings


@asynccontextmanager
async def reading(slice_file: Path | None = None) -> AsyncIterator[ReadableLog]:
    """Open the log of the settings, or a slice, to read it; nothing that is given this can write.

    Raises:
        SettingsError: no broker is set.
        LogUnavailableError: the broker does not answer.
        MisuseError: the slice cannot be used.
    """
    if slice_file is not None:
        raise MisuseError(f"{slice_file}: slices cannot be read yet")
    async with KafkaReadLog(load_settings().kafka) as log:
        yield log
