"""What a repository has, as one number: the sum modulo 2^256 over its tags of a hash of each tag with its digest.

Two who know the same tags get the same sum, in whatever order they learned of them; one that changes costs two hashes.
Tags that belong to a digest (cosign's, those of the referrers tag schema) are left out: nobody promotes them.
"""

from collections.abc import Mapping
from typing import Final

from schemas.canonical import canonical_bytes, sha256_hex
from towline.policy.arrival import attached_to

_MODULUS: Final = 1 << 256
#: The contents of a repository without tags.
EMPTY: Final = "0" * 64


def contents_of(digests: Mapping[str, str]) -> str:
    """Return the sum over all tags of a repository, by tag their digest, as 64 hex digits."""
    total = sum(_weight(tag, digest) for tag, digest in digests.items() if attached_to(tag) is None)
    return _hex(total)


def moved(contents: str, tag: str, before: str | None, after: str | None) -> str:
    """Return the contents after a tag went from one digest to another; None: it is not there."""
    if before == after or attached_to(tag) is not None:
        return contents
    lost = 0 if before is None else _weight(tag, before)
    won = 0 if after is None else _weight(tag, after)
    return _hex(int(contents, 16) + won - lost)


def _weight(tag: str, digest: str) -> int:
    return int(sha256_hex(canonical_bytes([tag, digest])), 16)


def _hex(total: int) -> str:
    return f"{total % _MODULUS:064x}"
