"""Trials: what a policy set decides on a list of events, without a broker.

Events are JSON lines: whole envelopes, or only ``{"type": …, "data": …, "time"?: …}``. Blank lines and lines that begin
with ``#`` are skipped. What a short event leaves out derives from its place: its id from its number, so that two equal
pushes are two pushes; its time is that of the event before, a tick's its own ``now``, and the first one's the beginning
of 1970. A short ``poll.completed`` of a repository without ``contents`` found what the events before it tell.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Final

import orjson
from pydantic import ValidationError

from schemas.canonical import content_id
from schemas.catalogue import EVENT_TYPES, UnreadableRecordError, decode, problems_in, type_of
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import ClockTicked, PolicyPublished, PollCompleted
from schemas.instants import format_instant
from schemas.outcomes import Report
from schemas.policies import PolicySet
from schemas.references import Frozen
from streams.consequences import consequences
from towline import limits
from towline.errors import MisuseError
from towline.policy.rules.spans import parse_moment
from towline.policy.state.repositories import contents
from towline.policy.step import MemoryState

SOURCE: Final = "towline/try"
_BEGINNING: Final = "1970-01-01T00:00:00.000000Z"
_SHORT: Final = ("type", "data", "time")


@dataclass(frozen=True, slots=True)
class Given:
    """An event with its line."""

    line: int
    event: Envelope[Frozen]


@dataclass(frozen=True, slots=True)
class Made:
    """A decision with the line of the event that led to it."""

    line: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class Difference:
    """Where decisions are not as expected. ``place`` counts from 1; without a member, one of the two is not there."""

    place: int
    member: str | None
    expected: Any
    got: Any


def read_events(text: str, name: str) -> list[Given]:
    """Return the events of a file.

    Raises:
        MisuseError: lines cannot be used; the text has ``NAME:LINE: what is wrong`` for each.
    """
    before = _BEGINNING

    def read(line: int, value: dict[str, Any], raw: str) -> Given:
        nonlocal before
        event = _whole(raw) if "specversion" in value else _short(value, before, line)
        before = event.time
        return Given(line, event)

    return _each_line(text, name, read)


def read_expected(text: str, name: str) -> list[Mapping[str, Any]]:
    """Return what is expected of each decision: members with their values.

    Raises:
        MisuseError: a line is no JSON object, or names a member that no decision has.
    """

    def read(_: int, value: dict[str, Any], __: str) -> Mapping[str, Any]:
        unknown = sorted(value.keys() - Decision.model_fields.keys())
        if unknown:
            raise ValueError(f"no decision has a member {unknown[0]!r}; there are {', '.join(Decision.model_fields)}")
        return value

    return _each_line(text, name, read)


def _each_line(text: str, name: str, read: Callable[[int, dict[str, Any], str], Any]) -> list[Any]:
    found: list[Any] = []
    problems: list[str] = []
    for line, raw in enumerate(text.splitlines(), 1):
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        try:
            value = orjson.loads(raw)
            if not isinstance(value, dict):
                raise ValueError("a line is a JSON object")
            found.append(read(line, value, raw))
        except orjson.JSONDecodeError as error:
            problems.append(f"{name}:{line}: not JSON: {error}")
        except ValidationError as error:
            problems += [f"{name}:{line}: {problem}" for problem in problems_in(error, "data")]
        except ValueError as error:
            problems.append(f"{name}:{line}: {error}")
    if problems:
        raise MisuseError("\n".join(problems))
    return found


def _whole(raw: str) -> Envelope[Frozen]:
    try:
        event = decode(raw.encode())
    except UnreadableRecordError as error:
        raise ValueError(str(error)) from None
    if type_of(event.data) not in EVENT_TYPES:
        raise ValueError(f"{type_of(event.data)} is not an event")
    return event


def _short(value: dict[str, Any], before: str, line: int) -> Envelope[Frozen]:
    unknown = [member for member in value if member not in _SHORT]
    if unknown:
        raise ValueError(f"{unknown[0]}: no such member; write {', '.join(_SHORT)}, or a whole envelope")
    model = EVENT_TYPES.get(str(value.get("type")))
    if model is None:
        raise ValueError(f"type: {value.get('type')!r} is no event; there are {', '.join(EVENT_TYPES)}")
    if not isinstance(value.get("data"), dict):
        raise ValueError("data: write an object with what the event tells")
    data = model.model_validate_json(orjson.dumps(value["data"]))
    time = _time(value["time"]) if "time" in value else data.now if isinstance(data, ClockTicked) else before
    return Envelope(content_id("policy.try", str(line)), SOURCE, _subject(data), time, data)


def _time(text: object) -> str:
    try:
        return format_instant(parse_moment(str(text)))
    except ValueError as error:
        raise ValueError(f"time: {error}; write a moment such as 2026-11-24T08:00:00Z") from None


def _subject(data: Any) -> str:
    if isinstance(data, Report):
        return str(data.target)
    subject = str(getattr(data, "repository", None) or type_of(data))
    if getattr(data, "tag", None):
        return f"{subject}:{data.tag}"
    return f"{subject}@{data.digest}" if getattr(data, "digest", None) else subject


def judge(policies: PolicySet, events: Iterable[Given], *, follow: bool) -> list[Made]:
    """Return the decisions on events under a policy set, in order.

    With ``follow`` each commanded copy and removal is completed at once, so that chains are judged to their end.

    Raises:
        MisuseError: following leads to more events than a trial may have.
    """
    state, made = MemoryState(), []
    given = [*events]
    first = given[0].event.time if given else _BEGINNING
    left = limits.trial_event_count
    for item in [Given(0, _publication(policies, first)), *given]:
        todo = deque([item.event])
        while todo:
            left -= 1
            if left < 0:
                raise MisuseError(f"more than {limits.trial_event_count} events follow from these")
            step = state.step(_added_up(state, todo.popleft()))
            made += [Made(item.line, decision.data) for decision in step.decisions]
            todo += step.announcements
            todo += consequences(step, SOURCE) if follow else ()
    return made


def _publication(policies: PolicySet, time: str) -> Envelope[Frozen]:
    proposal = content_id("policy.try", "proposal")
    data = PolicyPublished(revision=1, digest=policies.digest, set=policies, proposal_id=proposal, actor=SOURCE)
    return Envelope(content_id("policy.try", "publication"), SOURCE, "policies@1", time, data)


def _added_up(state: MemoryState, event: Envelope[Frozen]) -> Envelope[Frozen]:
    data = event.data
    if event.source != SOURCE or not isinstance(data, PollCompleted):
        return event
    if data.repository is None or data.contents is not None:
        return event
    return replace(event, data=data.model_copy(update={"contents": contents(state, data.repository)}))


def differences(made: Iterable[Made], expected: Iterable[Mapping[str, Any]]) -> Iterator[Difference]:
    """Yield where decisions differ from what is expected of those in the same place; members not named may be any."""
    for place, (got, wanted) in enumerate(zip_longest(made, expected), 1):
        if got is None:
            yield Difference(place, None, wanted, None)
            continue
        members = got.decision.model_dump(mode="json")
        if wanted is None:
            shown = {name: members[name] for name in ("source", "policy", "verdict", "target", "reason")}
            yield Difference(place, None, None, shown)
            continue
        for member, value in wanted.items():
            if members[member] != value:
                yield Difference(place, member, value, members[member])
