"""Canonical bytes (RFC 8785) and the ids derived from them.

Whatever is published, hashed or compared goes through :func:`canonical_bytes`, so that equal facts have equal bytes
on every machine, Python version and hash seed.
"""

import hashlib
from typing import Any, Final

import orjson
import rfc8785
from pydantic import BaseModel

from schemas.references import TextValue

#: Data classes would be written as objects: those of the contract are texts.
_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATACLASS


def canonical_bytes(value: Any) -> bytes:
    """Return ``value`` as canonical JSON (RFC 8785).

    ``value`` consists of dicts with string keys, lists, strings, integers within 2^53, booleans and None, and of models
    and text values of the contract. There are no floats, because two writers could spell one differently: no model of
    the catalogue has any.

    Raises:
        TypeError: ``value`` holds something else than JSON data.
        ValueError: an integer is outside of 2^53.
    """
    data = orjson.dumps(value, default=_plain, option=_OPTIONS)
    # orjson sorts keys by code point, the RFC by UTF-16 unit: the two agree on ASCII, which is nearly all we ever see.
    return data if data.isascii() else rfc8785.dumps(orjson.loads(data))


def _plain(value: Any) -> Any:
    """Return a model as its members, and a value object as its text.

    A third of what pydantic takes to make JSON data of a whole model first.
    """
    if isinstance(value, BaseModel):
        return value.__dict__
    if isinstance(value, TextValue):
        return str(value)
    raise TypeError(f"not JSON data: {type(value).__name__}")


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def content_id(*parts: str) -> str:
    """Return the id of a record: the SHA-256 over its identifying parts, in order.

    The parts are framed as a JSON list, so that ``("ab", "c")`` and ``("a", "bc")`` differ.
    """
    return sha256_hex(canonical_bytes(list(parts)))
