"""What a receiver can be told of: an event when it is taken first, and each decision."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import (
    ImageDeleted,
    ImageObserved,
    ImagePushed,
    PollFailed,
    RemovalFailed,
    RemovalSkipped,
    TagRemoved,
    TransferCompleted,
    TransferFailed,
    TransferSkipped,
)
from schemas.facts import ScanCompleted, ScanNoticed
from schemas.outcomes import Report
from schemas.patterns import SourcePattern
from schemas.references import Frozen, Repository
from schemas.webhooks import Notified
from towline import limits
from towline.policy.agenda import Agenda
from towline.policy.index import policies_in_force
from towline.policy.state.values import Draft, StateView

_NAMES: Final[Mapping[type[Frozen], Notified]] = {
    ImagePushed: "image.pushed",
    # By a hint or a comparison: what a webhook should have told, and did not, or not wholly.
    ImageObserved: "image.pushed",
    ImageDeleted: "image.deleted",
    ScanCompleted: "scan.completed",
    ScanNoticed: "scan.noticed",
    TransferCompleted: "transfer.completed",
    TransferSkipped: "transfer.skipped",
    TransferFailed: "transfer.failed",
    TagRemoved: "tag.removed",
    RemovalSkipped: "removal.skipped",
    RemovalFailed: "removal.failed",
    PollFailed: "poll.failed",
}
_VERDICTS: Final[Mapping[str, Notified]] = {
    "promote": "decision.promote",
    "mirror": "decision.mirror",
    "hold": "decision.hold",
    "deny": "decision.deny",
    "ignore": "decision.ignore",
    "remove": "decision.remove",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """An event or a decision that somebody may want to be told of."""

    name: Notified
    record: Envelope[Any]
    #: Which repositories it is about: of decisions and outcomes the source's and the target's. A glob that could not be
    #: asked is all that it matches.
    about: tuple[Repository | SourcePattern, ...]
    #: Of a transfer: its policy polls the source, so that it was brought here, not sent there.
    is_polled: bool = False


def causes_of(
    draft: Draft, event: Envelope[Frozen], agenda: Agenda, decisions: tuple[Envelope[Decision], ...]
) -> Iterator[Cause]:
    """Yield what there is to tell of an event: itself, unless it was taken before, then its decisions."""
    cause = _of_event(draft, event)
    if cause is not None and _is_taken_first(draft, cause, agenda):
        yield cause
    for decision in decisions:
        data = decision.data
        target = () if data.target is None else (data.target.repository,)
        yield Cause(_VERDICTS[data.verdict], decision, (data.source.repository, *target))


def _of_event(state: StateView, event: Envelope[Frozen]) -> Cause | None:
    name = _NAMES.get(type(event.data))
    if name is None:
        return None
    match event.data:
        case ScanCompleted(carried_from=source) if source is not None:
            return None  # Told where it was made.
        case Report() as data:
            about = (data.source.repository, data.target.repository)
            policy = policies_in_force(state).by_name.get(data.policy)
            return Cause(name, event, about, is_polled=policy is not None and policy.poll is not None)
        case PollFailed() as data:
            return Cause(name, event, (data.source.repository or data.source,))
        case data:
            return Cause(name, event, (_repository(data),))


def _repository(data: Any) -> Repository:
    repository: Repository = data.repository
    return repository


def _is_taken_first(draft: Draft, cause: Cause, agenda: Agenda) -> bool:
    if cause.name in {"image.pushed", "image.deleted"}:
        # Only what changed something: a registry's word on our own copy, or a sender's repetition, is nothing new.
        return agenda.news is not None
    told = Told.read(draft, cause)
    if cause.record.id in told.recent:
        return False
    replace(told, recent=(*told.recent, cause.record.id)[-limits.recent_event_count :]).write(draft)
    return True


@dataclass(frozen=True, slots=True)
class Told:
    """The last events of one kind about one thing, by which a re-delivery is known that changes nothing else."""

    key: str
    recent: tuple[str, ...] = ()

    @classmethod
    def read(cls, state: StateView, cause: Cause) -> "Told":
        """Return what is remembered of the thing that a cause is about."""
        data = cause.record.data
        match data:
            case Report():
                place = str(data.target)
            case PollFailed():
                place = str(data.source)
            case ScanNoticed(digest=None):
                place = f"{data.repository}:{data.tag}"
            case _:
                place = f"{data.repository}@{data.digest}"
        key = f"told {place}"
        value = state.get(key)
        return cls(key) if value is None else cls(key, tuple(value["recent"]))

    def write(self, draft: Draft) -> None:
        """Keep it."""
        draft.put(self.key, {"recent": list(self.recent)})
