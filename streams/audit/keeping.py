"""Checkpoints kept outside of Kafka: lines of a file, so that whoever can rewrite the topics cannot rewrite them."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from towline.audit.checkpoints import SealingKey
from towline.errors import InfrastructureError, SettingsError
from towline.settings import AuditSettings, read_credential


def sealing_key(audit: AuditSettings) -> SealingKey:
    """Return the key that checkpoints are signed with.

    Raises:
        SettingsError: there is none, or it cannot be used.
    """
    if audit.key is None:
        raise SettingsError("audit.key is not set: make a key with towline audit key FILE, and name it there")
    return SealingKey(read_credential(audit.key).encode())


def key_files(paths: Iterable[Path]) -> list[tuple[str, bytes]]:
    """Return the bytes of key files with their names.

    Raises:
        SettingsError: one cannot be read.
    """
    try:
        return [(str(path), path.read_bytes()) for path in paths]
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}") from None


class CheckpointFile:
    """A file with a checkpoint on each line. One that is there twice, as after a crash, has the same bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def keep(self, checkpoint: bytes) -> None:
        """Append a checkpoint; return when it is on the disk.

        Raises:
            InfrastructureError: it cannot be written.
        """
        try:
            await asyncio.to_thread(self._append, checkpoint)
        except OSError as error:
            raise InfrastructureError(f"audit.file {self._path}: {error.strerror}") from error

    def _append(self, checkpoint: bytes) -> None:
        is_new = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            size = os.fstat(descriptor).st_size
            # What a crash tore apart stays a line of its own.
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            left = (b"\n" if torn else b"") + checkpoint + b"\n"
            while left:
                left = left[file.write(left) :]
            os.fsync(descriptor)
        if is_new:
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
