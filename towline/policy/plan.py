"""``plan``: from a decision to the command that carries it out, and from an event to what must be found out."""

from datetime import timedelta
from typing import Final

from schemas.canonical import content_id
from schemas.commands import CopyImage, InspectImage, PollCause, PollRepository
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import ClockTicked, PolicyProposed, SyncRequested
from schemas.instants import parse_instant
from schemas.patterns import SourcePattern
from schemas.policies import CopyOptions, Policy
from schemas.references import Frozen, Repository
from towline.policy.agenda import Agenda
from towline.policy.arrival import Arrival, arrival_of, attached_to
from towline.policy.index import INSPECTION, SIGNATURE, PolicyIndex, policies_in_force
from towline.policy.judge import DECISION_SOURCE
from towline.policy.publish import is_accepted
from towline.policy.rules.spans import parse_span
from towline.policy.state.images import FactsState, ImageState, inspection_failed_at
from towline.policy.state.tags import TagState
from towline.policy.state.values import Draft, StateView, accepted_revision, clock
from towline.policy.sweep import new_or_changed

#: When each source was last asked what it has: ``{SOURCE: instant}``. Only in the partition that takes proposals.
_POLLS_KEY: Final = "polls"


def plan(decision: Envelope[Decision]) -> tuple[Envelope[CopyImage], ...]:
    """Return the commands of a decision: one copy for ``promote`` and ``mirror``, none otherwise or in shadow."""
    data = decision.data
    if data.verdict not in {"promote", "mirror"} or data.target is None or data.policy is None:
        return ()
    if data.mode != "enforce":
        return ()
    command = CopyImage(
        decision_id=decision.id,
        policy=data.policy,
        source=data.source,
        digest=data.digest,
        target=data.target,
        hops=data.hops,
        options=data.options or CopyOptions(),
        pushed_by=data.pushed_by,
    )
    return (
        Envelope(
            id=content_id(decision.id, "image.copy"),
            source=DECISION_SOURCE,
            subject=str(data.target),
            time=decision.time,
            data=command,
        ),
    )


def inspections(draft: Draft, event: Envelope[Frozen], agenda: Agenda) -> tuple[Envelope[InspectImage], ...]:
    """Return the commands to find out what the policies of the new images look at and nobody knows yet."""
    wanted: dict[tuple[Repository, str], None] = {}
    signed = None if agenda.ignored is None else attached_to(agenda.ignored.tag)
    if agenda.ignored is not None and signed is not None and _is_here(draft, agenda.ignored.repository, signed):
        # Somebody signed, or described, an image that is here: look again.
        wanted[agenda.ignored.repository, signed] = None
    for task in agenda.tasks:
        digest = TagState.read(draft, task.reference).digest
        if task.is_new and digest is not None and _is_needed(draft, task.reference.repository, digest, task.policies):
            wanted[task.reference.repository, digest] = None
    arrival = arrival_of(event)
    if arrival is not None and not agenda.is_repeated and _is_to_try_again(draft, arrival):
        wanted[arrival.reference.repository, arrival.digest] = None
    return tuple(_inspection(event, repository, digest) for repository, digest in wanted)


def _is_here(state: StateView, repository: Repository, digest: str) -> bool:
    return ImageState.read(state, repository, digest).first_seen_at is not None


def _is_to_try_again(state: StateView, arrival: Arrival) -> bool:
    """Tell whether nobody could look into what arrived, also when it was there already and nothing else is new."""
    repository, digest = arrival.reference.repository, arrival.digest
    if inspection_failed_at(state, repository, digest) is None:
        return False
    return TagState.read(state, arrival.reference).digest == digest and _is_needed(state, repository, digest, None)


def _is_needed(state: StateView, repository: Repository, digest: str, policies: frozenset[str] | None) -> bool:
    kinds: set[str] = set()
    for match in policies_in_force(state).matching(repository):
        if policies is None or match.policy.name in policies:
            kinds |= match.kinds
    if SIGNATURE in kinds:
        return True  # One may have been made since the last look.
    return INSPECTION in kinds and FactsState.read(state, repository, digest).inspection is None


def _inspection(event: Envelope[Frozen], repository: Repository, digest: str) -> Envelope[InspectImage]:
    return Envelope(
        id=content_id(event.id, "image.inspect", str(repository), digest),
        source=DECISION_SOURCE,
        subject=f"{repository}@{digest}",
        time=event.time,
        data=InspectImage(event_id=event.id, repository=repository, digest=digest),
    )


def polls(before: StateView, draft: Draft, event: Envelope[Frozen]) -> tuple[Envelope[PollRepository], ...]:
    """Return the commands to ask sources what they have.

    New policies have theirs asked at once, polled ones on their interval, and others when a person wants it, which
    leaves the interval as it is. Only the partition that takes proposals gives them, so that each is given once.
    """
    if isinstance(event.data, SyncRequested):
        return (_poll(event, event.data.source, "manual"),)
    if isinstance(event.data, PolicyProposed) and is_accepted(before, event.data):
        known = policies_in_force(before).by_name
        proposed = PolicyIndex(event.data.set)
        changed = new_or_changed(known, proposed.by_name)
        sources = {policy.source for policy in changed if policy.initial_evaluation or policy.poll is not None}
        return _ask(draft, event, sources, "initial-evaluation")
    if isinstance(event.data, ClockTicked) and event.data.now > clock(before) and accepted_revision(draft):
        return _ask(draft, event, _due(draft, event.data.now), "interval")
    return ()


def _due(draft: Draft, now: str) -> set[SourcePattern]:
    asked = draft.get(_POLLS_KEY) or {}
    moment = parse_instant(now)
    due: set[SourcePattern] = set()
    for policy in policies_in_force(draft).polled:
        last = asked.get(str(policy.source))
        if last is None or moment - parse_instant(last) >= poll_interval(policy):
            due.add(policy.source)
    return due


def poll_interval(policy: Policy) -> timedelta:
    """Return how long after one poll of its source a policy asks for the next."""
    try:
        return parse_span(policy.poll or "")
    except ValueError:
        return timedelta(minutes=30)


def _ask(
    draft: Draft, event: Envelope[Frozen], sources: set[SourcePattern], cause: PollCause
) -> tuple[Envelope[PollRepository], ...]:
    if not sources:
        return ()
    draft.put(_POLLS_KEY, {**(draft.get(_POLLS_KEY) or {}), **{str(source): event.time for source in sources}})
    return tuple(_poll(event, source, cause) for source in sorted(sources))


def _poll(event: Envelope[Frozen], source: SourcePattern, cause: PollCause) -> Envelope[PollRepository]:
    return Envelope(
        id=content_id(event.id, "repository.poll", str(source)),
        source=DECISION_SOURCE,
        subject=str(source),
        time=event.time,
        data=PollRepository(event_id=event.id, source=source, cause=cause),
    )
