"""Is an export what its manifest says? Needs no log."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from streams.export.manifest import NAME, ExportedFile, Manifest, read_manifest
from streams.slices.index import Progress
from towline.errors import MisuseError


@dataclass(frozen=True, slots=True)
class Deviation:
    """Something that is not as the manifest says."""

    path: str
    reason: str


def check(
    folder: Path,
    progress: Progress = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> tuple[Manifest, list[Deviation]]:
    """Return the manifest of an export and everything that differs from it.

    Raises:
        MisuseError: there is no manifest, or it cannot be read.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise MisuseError(f"{folder} has no {NAME}: it is no export")
    found: list[Deviation] = []
    if manifest.plan is not None:
        found.append(Deviation(NAME, "the export is not complete: export to the same folder again, and it goes on"))
    for number, file in enumerate(manifest.files):
        if (reason := _differs(folder / file.path, file)) is not None:
            found.append(Deviation(file.path, reason))
        progress(number + 1, len(manifest.files))
    known = {NAME, *(file.path for file in manifest.files)}
    there = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir())
    found += [Deviation(path, "the manifest does not have it") for path in there if path not in known]
    return manifest, found


def _differs(path: Path, file: ExportedFile) -> str | None:
    if path.is_symlink():
        return "it is a link"
    try:
        with path.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return None if sha256 == file.sha256 else f"its SHA-256 is {sha256}, the manifest says {file.sha256}"
