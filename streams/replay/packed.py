"""A state for replay over millions of events: what nobody reads now is kept packed."""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from towline.policy.state.values import Change, Value


class PackedState:
    """A state in memory, each value as the bytes of its members behind the number of their names.

    A quarter of what the same values take as Python's own objects: most of a long log's state is one value for each
    image, with the same few names.
    """

    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        self._names: list[tuple[str, ...]] = []
        self._numbers: dict[tuple[str, ...], int] = {}
        #: What the event at hand has read.
        self._read: dict[str, Value] = {}

    def get(self, key: str) -> Value | None:
        """Return the value under ``key``, or None."""
        value = self._read.get(key)
        if value is None:
            packed = self._packed.get(_pack_key(key))
            if packed is None:
                return None
            value = self._read[key] = self._unpack(packed)
        return value

    def apply(self, changes: tuple[Change, ...]) -> None:
        """Make the changes."""
        self._read.clear()
        for change in changes:
            if change.value is None:
                self._packed.pop(_pack_key(change.key), None)
            else:
                self._packed[_pack_key(change.key)] = self._pack(change.value)

    def items(self) -> Iterator[tuple[str, Value]]:
        """Yield each key with its value, in the order of the keys."""
        for key in sorted(map(_unpack_key, self._packed)):
            yield key, self._unpack(self._packed[_pack_key(key)])

    def __len__(self) -> int:
        return len(self._packed)

    def _pack(self, value: Value) -> bytes:
        names = tuple(value)
        number = self._numbers.get(names)
        # Names that belong to one value, such as the repositories that were asked, stay with it.
        if number is None and len(self._names) < _SHAPES_MAX:
            number = self._numbers[names] = len(self._names)
            self._names.append(names)
        packed = orjson.dumps([number, *value.values()] if number is not None else [None, value])
        # A copy: what orjson returns sits at the beginning of a buffer of some kilobytes, and would keep all of it.
        return memoryview(packed).tobytes()

    def _unpack(self, packed: bytes) -> dict[str, Any]:
        number, *values = orjson.loads(packed)
        if number is None:
            return dict(values[0])
        return dict(zip(self._names[number], values, strict=True))


def _pack_key(key: str) -> bytes:
    """Return a key as bytes, a digest at its end in half of its length behind a zero, which no key has."""
    if key[-71:-64] != _DIGEST or not key.isascii():
        return key.encode()
    return b"%b\0%b" % (key[:-71].encode(), bytes.fromhex(key[-64:]))


def _unpack_key(packed: bytes) -> str:
    if packed[-33:-32] != b"\0":
        return packed.decode()
    return f"{packed[:-33].decode()}{_DIGEST}{packed[-32:].hex()}"


_DIGEST: Final = "sha256:"
#: Combinations of names that are kept once; there are few but for values whose names are data.
_SHAPES_MAX: Final = 256
