"""When a recorded decision is what the log leads to: the same bytes, or what an older version knew to write."""

from typing import Any, Final

import orjson

from schemas.catalogue import VERSIONS, UnreadableRecordError, decode

_VERSION: Final = "version"


def is_same(recorded: bytes, expected: bytes) -> bool:
    """Tell whether two records are the same.

    An older version wrote fewer members; those must be equal, and enough for the record to be read.
    """
    return recorded == expected or (recorded == as_written(expected, recorded) and _is_readable(recorded))


def as_written(record: bytes, by: bytes) -> bytes:
    """Return a record as the version that wrote ``by`` would have written it; as it is, when that is not older."""
    try:
        new, old = orjson.loads(record), orjson.loads(by)
        is_older = old["type"] == new["type"] and old[_VERSION] < VERSIONS[old["type"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return record
    if not is_older:
        return record
    new[_VERSION] = old[_VERSION]
    return orjson.dumps(_members(new, old), option=orjson.OPT_SORT_KEYS)


def _members(new: Any, old: Any) -> Any:
    if isinstance(new, dict) and isinstance(old, dict):
        return {name: _members(value, old[name]) for name, value in new.items() if name in old}
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [_members(*pair) for pair in zip(new, old, strict=True)]
    return new


def _is_readable(record: bytes) -> bool:
    try:
        decode(record)
    except UnreadableRecordError:
        return False
    return True
