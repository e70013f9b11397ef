"""From exported JSON to single policies, each with its place and kind.

An export is one object, a list, several of them one after the other, or an object that names lists by the part of the
API that they came from.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from towline import limits
from towline.errors import MisuseError

Kind = Literal["promotion", "push", "poll"]

_CONTAINERS: Final[Mapping[str, Kind | None]] = {
    "promotionPolicies": "promotion",
    "pushMirroringPolicies": "push",
    "pollMirroringPolicies": "poll",
    "mirroringPolicies": None,
}
_SPACE: Final = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Exported:
    """One policy as it was exported."""

    #: ``FILE:LINE: PATH``; the line is that of the JSON value that it is in.
    place: str
    #: What the export calls it; None when it does not say.
    kind: Kind | None
    members: Mapping[str, Any]


def read_exports(text: str, name: str) -> list[Exported]:
    """Return the policies of a file.

    Raises:
        MisuseError: the text is not JSON, or holds something else than policies.
    """
    if len(text) > limits.record_bytes:
        raise MisuseError(f"{name}: longer than the {limits.record_bytes} bytes that a policy set can have")
    found = [
        exported
        for line, value in _values(text.removeprefix("\ufeff"), name)
        for exported in _policies(value, f"{name}:{line}: ", "", None, 0)
    ]
    if not found:
        raise MisuseError(f"{name}: there is no policy in it")
    return found


def _values(text: str, name: str) -> Iterator[tuple[int, Any]]:
    decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)
    at = _space(text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise MisuseError(f"{name}:{error.lineno}: not JSON: {error.msg}") from None
        except RecursionError:
            raise MisuseError(f"{name}:{line}: nested too deeply") from None
        except ValueError as error:
            raise MisuseError(f"{name}:{line}: not JSON: {error}") from None
        yield line, value
        at = _space(text, end)


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return members


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _policies(value: Any, place: str, path: str, kind: Kind | None, depth: int) -> Iterator[Exported]:
    if isinstance(value, list) and depth < limits.policy_file_depth:
        for number, item in enumerate(value):
            yield from _policies(item, place, f"{path}.{number}" if path else str(number), kind, depth + 1)
        return
    if not isinstance(value, dict):
        raise MisuseError(f"{place}{path or 'the value'}: not a policy: an object is expected, or a list of them")
    named = [member for member in value if member in _CONTAINERS]
    if not named:
        yield Exported(place + path if path else place.removesuffix(": "), kind, value)
        return
    for member, item in value.items():
        where = f"{path}.{member}" if path else member
        if member not in _CONTAINERS:
            raise MisuseError(f"{place}{where}: beside {named[0]} only {', '.join(_CONTAINERS)} can be")
        if not isinstance(item, list):
            raise MisuseError(f"{place}{where}: a list of policies is expected")
        yield from _policies(item, place, where, _CONTAINERS[member], depth + 1)
