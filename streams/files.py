"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from towline.errors import StorageError


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a name of its own beside ``path``, and give it that name once it is on the disk.

    When the body fails nothing is left. After a kill the name beside it may be left, ``.NAME.part``; the next one
    writes over it. Only its owner can read the file: what is in the log is not for everybody.

    Raises:
        StorageError: the file cannot be written; the text has the path and the reason.
    """
    part = part_of(path)
    try:
        with _open(part) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _keep_name(path.parent)
    except BaseException as error:
        _forget(part)
        if isinstance(error, OSError):
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from None
        raise


def part_of(path: Path) -> Path:
    """Return the name that a file has until it is complete."""
    return path.with_name(f".{path.name}.part")


def _open(path: Path) -> BinaryIO:
    # Not with the rights of a file that a killed process left.
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _keep_name(folder: Path) -> None:
    """Bring the names of a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _forget(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # The folder is gone or cannot be written: there is nothing to forget, or nobody who could.
        return
