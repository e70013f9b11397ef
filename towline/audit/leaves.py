"""What of a record is sealed: everything that a reader of the topic relies on."""

from collections.abc import Iterable
from typing import Final

from towline.audit.merkle import leaf_hash

_ABSENT: Final = b"\xff" * 8


def record_leaf(
    key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]], timestamp_ms: int
) -> bytes:
    """Return the leaf hash of a record: its timestamp, key, value and headers, as the topic has them.

    Each part is preceded by its length in 8 bytes, big-endian; a key or value that is not there has a length of only
    ones. Bytes are hashed as they are, so that no later version reads them differently. The offset is no part: a topic
    that was copied to another cluster has others.
    """
    listed = list(headers)
    parts = [
        timestamp_ms.to_bytes(8, "big", signed=True),
        _framed(key),
        _framed(value),
        len(listed).to_bytes(8, "big"),
        *(_framed(name.encode()) + _framed(content) for name, content in listed),
    ]
    return leaf_hash(b"".join(parts))


def _framed(part: bytes | None) -> bytes:
    return _ABSENT if part is None else len(part).to_bytes(8, "big") + part
