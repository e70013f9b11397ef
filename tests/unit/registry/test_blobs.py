"""A stream that proves itself: whoever passes it on under its announced length cannot complete a wrong blob."""

from collections.abc import AsyncIterator

import pytest

from schemas.descriptors import Descriptor
from towline.registry.blobs import digest_of, verified
from towline.registry.errors import DigestMismatchError, SizeMismatchError

CONTENT = b"0123456789"


async def chunks(content: bytes, length: int) -> AsyncIterator[bytes]:
    for at in range(0, len(content), length):
        yield content[at : at + length]


def described(content: bytes, algorithm: str = "sha256") -> Descriptor:
    return Descriptor(media_type="a/b", digest=digest_of(content, algorithm), size=len(content))


@pytest.mark.parametrize("length", [1, 3, 10, 100])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_the_right_content_passes_whole_and_in_order(length: int, algorithm: str) -> None:
    for content in (CONTENT, b""):
        passed = [chunk async for chunk in verified(chunks(content, length), described(content, algorithm))]
        assert b"".join(passed) == content


@pytest.mark.parametrize("length", [1, 3, 10, 100])
@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"9876543210", DigestMismatchError),
        (CONTENT[:-1], SizeMismatchError),
        (b"", SizeMismatchError),
        (CONTENT + b"!", SizeMismatchError),
    ],
)
async def test_wrong_content_fails_before_its_announced_length_is_passed_on(
    content: bytes, error: type[Exception], length: int
) -> None:
    passed: list[bytes] = []

    async def pass_on() -> None:
        async for chunk in verified(chunks(content, length), described(CONTENT)):
            passed.append(chunk)

    with pytest.raises(error):
        await pass_on()
    assert len(b"".join(passed)) < len(CONTENT)
