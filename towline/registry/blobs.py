"""Content that proves itself: readers that fail when bytes do not fit their digest or size."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator

from schemas.descriptors import Descriptor
from towline.registry.errors import DigestMismatchError, SizeMismatchError


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of ``content``; ``algorithm`` is ``sha256`` or ``sha512``."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def verify_digest(content: bytes, digest: str, *, url: str | None = None) -> None:
    """Check that ``content`` hashes to ``digest``.

    Raises:
        DigestMismatchError: it does not.
    """
    found = digest_of(content, digest.partition(":")[0])
    if found != digest:
        raise DigestMismatchError(f"wanted {digest}, got content of {found}", url=url)


async def verified(chunks: AsyncIterable[bytes], descriptor: Descriptor) -> AsyncIterator[bytes]:
    """Pass ``chunks`` on and fail at the end of the stream when they are not what ``descriptor`` names.

    The last chunk is held back until everything is verified: whoever passes the chunks on under an announced length
    can never complete a wrong blob.

    Raises:
        SizeMismatchError: more bytes than announced (raised at once), or fewer.
        DigestMismatchError: other bytes.
    """
    algorithm, _, expected = descriptor.digest.partition(":")
    hasher = hashlib.new(algorithm)
    size = 0
    held = b""
    async for chunk in chunks:
        size += len(chunk)
        if size > descriptor.size:
            raise SizeMismatchError(f"{descriptor.digest} has more than the announced {descriptor.size} bytes")
        hasher.update(chunk)
        if held:
            yield held
        held = chunk
    if size < descriptor.size:
        raise SizeMismatchError(f"{descriptor.digest} ended after {size} of {descriptor.size} bytes")
    if hasher.hexdigest() != expected:
        raise DigestMismatchError(f"wanted {descriptor.digest}, got content of {algorithm}:{hasher.hexdigest()}")
    if held:
        yield held
