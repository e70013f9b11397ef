"""JSON from outside, read strictly: size, then depth, then content.

RFC 8259 leaves much to the reader: what a repeated name means, how deep nesting may go, what an unpaired surrogate is.
Two readers that differ there see two documents in the same bytes, so whatever is ambiguous is refused.
"""

import json
import math
import re
from collections import Counter
from typing import Any, Final, NoReturn

from schemas.canonical import canonical_bytes
from towline import limits
from towline.dialects.reasons import shown
from towline.errors import UnusableInputError

#: A JSON string, its end missing or not: possessive, and matching from any quote on, so hostile input costs one pass.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)

#: Leaves brackets only, and of one kind: what matters here is how deep they go, the parser says if they match.
_TO_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")

_INTEGER_MIN: Final = -(2**63)
_INTEGER_MAX: Final = 2**64 - 1


def read_json(body: bytes, max_bytes: int, max_depth: int = limits.json_depth) -> Any:
    """Return what ``body`` says, as dicts, lists, strings, integers, floats, booleans and None.

    ``max_bytes`` bounds the size in bytes and ``max_depth`` the nesting; both are checked before anything is built.

    Raises:
        UnusableInputError: too large or too deep; not JSON (RFC 8259) in UTF-8, or with a byte order mark; a name twice
            in one object; NaN, an infinity or a number beyond them; an integer beyond 64 bits; a NUL or an unpaired
            surrogate in a string.
    """
    if not body:
        raise UnusableInputError("the body is empty")
    if len(body) > max_bytes:
        raise UnusableInputError(f"the body has {len(body)} bytes; at most {max_bytes} are taken")
    if body.startswith(b"\xef\xbb\xbf"):
        raise UnusableInputError("the body begins with a byte order mark; JSON has none (RFC 8259, section 8.1)")
    if _deeper_than(body, max_depth):
        raise UnusableInputError(f"the JSON is nested deeper than {max_depth} levels")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnusableInputError(f"the body is not UTF-8: byte {error.start} does not belong there") from None
    value = _parse(text)
    if "\\u" in text:
        # Only an escape can smuggle these in: the decoder and the parser refuse them when written plainly.
        _check_strings(value)
    return value


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that the body of a delivery is.

    Raises:
        UnusableInputError: as :func:`read_json`, or it is no object.
    """
    value = read_json(body, limits.hook_body_bytes)
    if not isinstance(value, dict):
        raise UnusableInputError("the body must be a JSON object")
    return value


def spelled(value: Any) -> str:
    """Return a value from a delivery as canonical JSON (RFC 8785): the same text whoever sends it, and however.

    Raises:
        UnusableInputError: it holds an integer beyond 2^53, which readers may take for another one.
    """
    try:
        return canonical_bytes(value).decode()
    except (TypeError, ValueError):
        raise UnusableInputError("a number that tells this delivery from others is beyond 2^53") from None


def _deeper_than(body: bytes, max_depth: int) -> bool:
    if body.count(b"[") + body.count(b"{") <= max_depth:
        return False
    brackets = _STRING.sub(b"", body).translate(_TO_BRACKETS, _NOT_BRACKETS)
    for _ in range(max_depth):
        fewer = brackets.replace(b"[]", b"")
        if len(fewer) == len(brackets):
            # Nothing closes any more: the brackets do not match, unless there are none left.
            return fewer.count(b"[") > max_depth
        brackets = fewer
    return b"[" in brackets


def _parse(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise UnusableInputError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise UnusableInputError(f"the name {shown(counts.most_common(1)[0][0])} occurs twice in one JSON object")
    return members


def _no_constant(name: str) -> NoReturn:
    raise UnusableInputError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    # 20 digits and a sign hold every 64-bit integer; longer ones are never converted, which is slow.
    value = int(digits) if len(digits) <= 21 else None
    if value is None or not _INTEGER_MIN <= value <= _INTEGER_MAX:
        raise UnusableInputError(f"the integer {shown(digits)} does not fit into 64 bits")
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise UnusableInputError(f"the number {shown(digits)} is beyond what JSON readers can hold")
    return value


#: Made once: to make one takes a third of the time of reading a usual delivery.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_integer, parse_float=_finite
)


def _check_strings(value: Any) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\0" in item:
                raise UnusableInputError("a string contains NUL")
            if not item.isascii() and any("\ud800" <= character <= "\udfff" for character in item):
                raise UnusableInputError("a string contains an unpaired surrogate, which is no character")
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
