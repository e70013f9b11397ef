"""What an answer means beyond its status: refusals that registries word each in their own way, and claims."""

import re
from typing import Final

import httpx

from towline.registry.errors import DigestMismatchError, RegistryError

#: Words by which registries refuse to move a tag under a status that also means other things.
_IMMUTABLE_WORDS: Final = re.compile(r"immutable|overwrit|already exists|TAG_LOCKED", re.IGNORECASE)
#: A session that is unknown, and one whose state is not what the address says.
_LOST_UPLOAD_CODES: Final = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"})


def is_immutable_tag(error: RegistryError) -> bool:
    """Tell whether a write of a tag was refused because the tag may not be moved."""
    if error.status in {409, 412}:
        return True
    return (
        error.status in {400, 403, 405} and _IMMUTABLE_WORDS.search(" ".join([*error.codes, error.words])) is not None
    )


def is_lost_upload(error: RegistryError) -> bool:
    """Tell whether the closing of an upload was refused because its session is not what it was."""
    return error.status in {404, 416} or not _LOST_UPLOAD_CODES.isdisjoint(error.codes)


def compare_claim(response: httpx.Response, digest: str, what: str) -> None:
    """Check what a registry says to be the digest of what was read or written.

    Raises:
        DigestMismatchError: it is another one.
    """
    claim = response.headers.get("docker-content-digest", "")
    # A registry may name the same content by its own algorithm; only like can be compared with like.
    if claim.partition(":")[0] == digest.partition(":")[0] and claim != digest:
        raise DigestMismatchError(f"{what}: the registry claims {claim[:140]!r}", url=str(response.url))
