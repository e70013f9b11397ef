"""``explain``: for the last arrival of a tag, each policy and each rule, and where the tag went or came from."""

from dataclasses import dataclass
from itertools import takewhile

from schemas.catalogue import type_of
from schemas.decisions import RuleFinding
from schemas.events import ImageDeleted, ImagePushed, TransferCompleted, TransferFailed, TransferSkipped
from schemas.outcomes import Outcome
from schemas.references import Reference
from streams.audit.trail import Story, decision_of, read_story
from streams.history import Recorded
from streams.log import EventLog


@dataclass(frozen=True, slots=True)
class PolicyExplanation:
    """What one policy made of the image."""

    policy: str | None
    revision: int
    verdict: str
    reason: str
    target: str | None
    rules: tuple[RuleFinding, ...]
    #: How the transfer ended: ``completed``, ``skipped`` or ``failed``; ``pending`` while there is no outcome; None
    #: when nothing was to be transferred.
    outcome: str | None
    outcome_detail: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a tag is what it is, and what became of it."""

    reference: str
    #: None when the tag was deleted, or is not known.
    digest: str | None
    #: One line: how this digest came here.
    came_by: str
    event_id: str | None
    policies: tuple[PolicyExplanation, ...]


async def explain(log: EventLog, reference: Reference) -> Explanation | None:
    """Return the explanation of a tag's present digest, or None when the log knows nothing of the tag.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    story = await read_story(log, reference)
    # A transfer that failed brought nothing here; what the tag has, and how it was judged, came before it.
    arrivals = [item for item in story.arrivals if not isinstance(item.envelope.data, TransferFailed)]
    if not arrivals:
        return None
    digest, came_by = _arrival(arrivals[-1])
    told = _told_since_change(arrivals)
    judged = [item for item in story.decisions if decision_of(item).event_id in told]
    # The last event that led to a verdict: telling the same digest once more is ignored and explains nothing.
    verdicts = [item for item in judged if decision_of(item).policy is not None] or judged
    event_id = decision_of(verdicts[-1]).event_id if verdicts else None
    explained = [item for item in verdicts if decision_of(item).event_id == event_id]
    return Explanation(str(reference), digest, came_by, event_id, tuple(_policy(item, story) for item in explained))


def _told_since_change(arrivals: list[Recorded]) -> set[str]:
    """Return the ids of the last events in a row that tell the present digest; before them it was another."""
    digest, _ = _arrival(arrivals[-1])
    same = takewhile(lambda item: _arrival(item)[0] == digest, reversed(arrivals))
    return {item.envelope.id for item in same}


def _arrival(item: Recorded) -> tuple[str | None, str]:
    match item.envelope.data:
        case ImagePushed() as data:
            return data.digest, f"pushed{f' by {data.actor}' if data.actor else ''} at {item.envelope.time}"
        case TransferCompleted() | TransferSkipped() as data:
            return data.digest, f"by policy {data.policy} from {data.source} at {item.envelope.time}"
        case ImageDeleted():
            return None, f"deleted at {item.envelope.time}"
        case data:
            raise TypeError(f"{type_of(data)} brings no image")


def _policy(item: Recorded, story: Story) -> PolicyExplanation:
    decision = decision_of(item)
    outcome: str | None = None
    detail: str | None = None
    if decision.verdict in {"promote", "mirror"}:
        outcome, detail = _outcome(item.envelope.id, story)
    return PolicyExplanation(
        decision.policy,
        decision.revision,
        decision.verdict,
        decision.reason,
        None if decision.target is None else str(decision.target),
        decision.rules,
        outcome,
        detail,
    )


def _outcome(decision_id: str, story: Story) -> tuple[str, str | None]:
    for item in story.outcomes:
        data = item.envelope.data
        if isinstance(data, Outcome) and data.decision_id == decision_id:
            detail = f"{data.cause}: {data.detail}" if isinstance(data, TransferFailed) else None
            return type_of(data).removeprefix("transfer."), detail
    return "pending", None
