"""``plan``: from a decision to the command that carries it out, and from an event to what must be looked into."""

from schemas.canonical import content_id
from schemas.commands import CopyImage, InspectImage, RemoveTag
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.policies import CopyOptions
from schemas.references import Frozen, Repository
from towline.policy.agenda import Agenda
from towline.policy.arrival import Arrival, arrival_of, attached_to
from towline.policy.index import INSPECTION, SIGNATURE, policies_in_force
from towline.policy.judge import DECISION_SOURCE
from towline.policy.state.images import FactsState, ImageState, inspection_failed_at
from towline.policy.state.tags import TagState
from towline.policy.state.values import Draft, StateView


def plan(decision: Envelope[Decision]) -> tuple[Envelope[CopyImage | RemoveTag], ...]:
    """Return the command of a decision: ``promote``, ``mirror`` and ``remove`` have one, unless in shadow."""
    data = decision.data
    if data.verdict not in {"promote", "mirror", "remove"} or data.target is None or data.policy is None:
        return ()
    if data.mode != "enforce":
        return ()
    command: CopyImage | RemoveTag
    if data.verdict == "remove":
        command = RemoveTag(
            decision_id=decision.id,
            policy=data.policy,
            source=data.source,
            digest=data.digest,
            target=data.target,
            hops=data.hops,
        )
    else:
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
            id=content_id(decision.id, "image.copy" if isinstance(command, CopyImage) else "tag.remove"),
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
        repository = task.reference.repository
        if not task.is_new or not _looked_into(draft, repository, task.policies):
            continue
        digest = TagState.read(draft, task.reference).digest
        if digest is not None and _is_needed(draft, repository, digest, task.policies):
            wanted[repository, digest] = None
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
    kinds = _looked_into(state, repository, policies)
    if SIGNATURE in kinds:
        return True  # One may have been made since the last look.
    return INSPECTION in kinds and FactsState.read(state, repository, digest).inspection is None


def _looked_into(state: StateView, repository: Repository, policies: frozenset[str] | None) -> frozenset[str]:
    """Return what policies need to know of an image that only a look into it can tell."""
    matches = policies_in_force(state).matching(repository)
    kinds = (match.kinds for match in matches if policies is None or match.policy.name in policies)
    return frozenset().union(*kinds) & {INSPECTION, SIGNATURE}


def _inspection(event: Envelope[Frozen], repository: Repository, digest: str) -> Envelope[InspectImage]:
    return Envelope(
        id=content_id(event.id, "image.inspect", str(repository), digest),
        source=DECISION_SOURCE,
        subject=f"{repository}@{digest}",
        time=event.time,
        data=InspectImage(event_id=event.id, repository=repository, digest=digest),
    )
