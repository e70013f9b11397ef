"""Pages of records: what is wanted, in which order, and from where on."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import orjson

from schemas.canonical import canonical_bytes, sha256_hex
from schemas.patterns import SourcePattern
from schemas.references import Reference, Repository
from streams.projection.records import Records
from streams.projection.rows import RANK, Kept
from towline.errors import MisuseError
from towline.policy.patterns import match

Order = Literal["newest", "oldest"]

_PLACE: Final = ("time", "topic", "part", "pos")
_AMONG: Final = "IN (SELECT value FROM json_each(?))"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted; None: whatever it is."""

    #: From this moment on, and up to before that one, both as they stand in records.
    time_from: str | None = None
    time_to: str | None = None
    actor: str | None = None
    policy: str | None = None
    verdict: str | None = None
    outcome: str | None = None
    type: str | None = None
    #: A repository, or a glob of them: as a source or as a target.
    repository: SourcePattern | None = None
    #: As a source or as a target.
    reference: Reference | None = None
    digest: str | None = None
    #: The topic.
    topic: str | None = None

    @property
    def mark(self) -> str:
        """By which a cursor of another question is known."""
        values = {name: str(value) for name in self.__slots__ if (value := getattr(self, name)) is not None}
        return sha256_hex(canonical_bytes(values))[:16]


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, and the cursor that continues after them; None at the end."""

    records: list[Kept]
    cursor: str | None


def read_page(
    records: Records, wanted: Filter, limit: int, *, order: Order = "newest", cursor: str | None = None
) -> Page:
    """Return up to ``limit`` records that are wanted, after those that the cursor's page ended with.

    Records stand by their time, then causes before effects, then by their place in the topic: what is written meanwhile
    moves none of them, so that all pages together have each once that was there at the first.

    Raises:
        MisuseError: the cursor is none, or was given for another question.
    """
    conditions, values = _conditions(records, wanted)
    is_newest = order == "newest"
    if cursor is not None:
        conditions.append(f"({', '.join(_PLACE)}) {'<' if is_newest else '>'} (?, ?, ?, ?)")
        values += _place_of(cursor, wanted, order)
    direction = " DESC" if is_newest else ""
    found = records.select(
        " AND ".join(conditions) or "TRUE", values, ", ".join(f"{name}{direction}" for name in _PLACE), limit + 1
    )
    kept = found[:limit]
    return Page(kept, _cursor(kept[-1], wanted, order) if len(found) > limit else None)


def _conditions(records: Records, wanted: Filter) -> tuple[list[str], list[Any]]:
    found = list(_parts(records, wanted))
    return [condition for condition, _ in found], [value for _, values in found for value in values]


def _parts(records: Records, wanted: Filter) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield conditions on the table's columns with the values of their question marks."""
    for name in ("actor", "policy", "verdict", "outcome", "type"):
        if (value := getattr(wanted, name)) is not None:
            yield f"{name} = ?", (value,)
    if wanted.topic is not None:
        yield "topic = ?", (RANK[wanted.topic],)
    if wanted.time_from is not None:
        yield "time >= ?", (wanted.time_from,)
    if wanted.time_to is not None:
        yield "time < ?", (wanted.time_to,)
    if wanted.digest is not None:
        yield "number IN (SELECT record FROM digests WHERE digest = ?)", (wanted.digest,)
    if wanted.repository is not None:
        names = orjson.dumps(_matching(records, wanted.repository)).decode()
        yield f"(source_repository {_AMONG} OR target_repository {_AMONG})", (names, names)
    if wanted.reference is not None:
        place = (str(wanted.reference.repository), wanted.reference.tag)
        yield (
            "((source_repository = ? AND source_tag = ?) OR (target_repository = ? AND target_tag = ?))",
            (*place, *place),
        )


def _matching(records: Records, pattern: SourcePattern) -> list[str]:
    return [name for name in records.repositories() if match(pattern, Repository.parse(name)) is not None]


def _cursor(last: Kept, wanted: Filter, order: Order) -> str:
    topic, partition, offset = last.position
    place = [wanted.mark, order, last.envelope.time, RANK[topic], partition, offset]
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _place_of(cursor: str, wanted: Filter, order: Order) -> list[Any]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        mark, ordered, time, *numbers = orjson.loads(raw)
    except (binascii.Error, ValueError, TypeError):
        mark, ordered, time, numbers = None, None, None, []
    if not isinstance(time, str) or len(numbers) != 3 or not all(_is_number(number) for number in numbers):
        raise MisuseError("the cursor is none that was given: begin without one")
    if (mark, ordered) != (wanted.mark, order):
        raise MisuseError("the cursor is another question's: ask with the same filters and order, or without it")
    return [time, *numbers]


def _is_number(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**63
