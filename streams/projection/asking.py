"""Filters as people and programs write them: texts by name, the same at the command line and over HTTP."""

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError

from schemas.catalogue import TYPES
from schemas.decisions import Verdict
from schemas.patterns import SourcePattern
from schemas.references import Digest, Reference
from streams.moments import instant
from streams.projection.paging import Filter
from streams.transfers.transfer import Ended
from towline.errors import MisuseError

#: Longer names are nobody's.
_NAME_LENGTH: Final = 256

_DIGEST: Final[TypeAdapter[str]] = TypeAdapter(Digest)


def digest(text: str) -> str:
    """Return a text that is a digest.

    Raises:
        MisuseError: it is none.
    """
    try:
        return _DIGEST.validate_python(text)
    except ValidationError:
        raise MisuseError(f"{text!r} is no digest: write sha256: and 64 hex digits") from None


def filter_of(values: Mapping[str, str | None], **more: Any) -> Filter:
    """Return the filter that is asked for; ``values`` has texts by the names of :data:`FILTERS`.

    Raises:
        MisuseError: a text cannot be what its name asks for; the reason begins with the name.
    """
    read = {}
    for name, text in values.items():
        if text is None:
            continue
        member, reader = FILTERS[name]
        try:
            read[member] = reader(text)
        except (MisuseError, ValueError) as error:
            raise MisuseError(f"{name}: {error}") from None
    return Filter(**read, **more)


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is none of {', '.join(words)}")
        return text

    return read


def _name(text: str) -> str:
    if not 0 < len(text) <= _NAME_LENGTH:
        raise ValueError(f"a name has 1 to {_NAME_LENGTH} characters")
    # What came from a command line may not be text at all.
    text.encode()
    return text


#: From its name to the member of the filter, and what reads it.
FILTERS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "from": ("time_from", instant),
    "to": ("time_to", instant),
    "actor": ("actor", _name),
    "policy": ("policy", _name),
    "verdict": ("verdict", _one_of(*get_args(Verdict))),
    "outcome": ("outcome", _one_of(*get_args(Ended))),
    "type": ("type", _one_of(*sorted(TYPES))),
    "repository": ("repository", SourcePattern.parse),
    "reference": ("reference", Reference.parse),
    "digest": ("digest", digest),
}
