"""The manifest of an export: which files there are, which offsets they cover, and which checkpoints cover these.

It is also the export's state: a file counts once the manifest has it, and what it covers is not exported again.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

import orjson
from pydantic import StringConstraints, ValidationError

from schemas.catalogue import describe
from schemas.checkpoints import Hash
from schemas.instants import Instant
from schemas.references import Count, Frozen
from streams.export.formats import Format
from streams.files import written
from streams.slices.form import Range, Scan
from towline.errors import MisuseError

NAME: Final = "manifest.json"


class ExportedFile(Frozen):
    """One file, with records of one partition and one day."""

    #: Below the folder of the export, and never outside of it.
    path: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z]+/day=[0-9]{4}-[0-9]{2}-[0-9]{2}/part-[0-9]+-[0-9]+\.(jsonl|parquet)$"),
    ]
    topic: str
    partition: Count
    #: The offsets of its first and last record; those of other days may be between.
    first: Count
    last: Count
    rows: Count
    size: Count
    sha256: Hash


class Covering(Frozen):
    """The newest checkpoint over nothing but exported decisions of its partition."""

    id: Hash
    number: Count
    size: Count
    root: Hash
    #: The last decision that it is over; those after it are covered by no checkpoint yet.
    last_offset: Count
    #: Where it is in ``towline.checkpoints``.
    offset: Count


class Coverage(Frozen):
    """What covers the exported decisions of a partition."""

    partition: Count
    checkpoint: Covering | None
    #: Why there is none.
    reason: str | None = None


class Manifest(Frozen):
    """Everything that is known of an export."""

    export: Literal[1] = 1
    towline: str
    formats: tuple[Format, ...]
    since: Instant | None
    until: Instant | None
    #: For each topic the offsets of its partitions that are exported.
    covered: dict[str, tuple[Range, ...]]
    #: Where the export that is under way ends, for each topic and partition; None: it is complete.
    plan: dict[str, tuple[Count, ...]] | None
    checkpoints: tuple[Coverage, ...]
    #: Which secrets every record was searched for; what is allowed was so in one of the exports to the folder.
    scan: Scan
    files: tuple[ExportedFile, ...]


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a folder; None when there is none.

    Raises:
        MisuseError: it cannot be read, or is of a newer format.
    """
    path = folder / NAME
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MisuseError(f"cannot read {path}: {error.strerror}") from None
    except ValidationError as error:
        raise MisuseError(f"{path}: {describe(error)}") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    with written(folder / NAME) as file:
        file.write(
            orjson.dumps(manifest.model_dump(mode="json"), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
