"""How far a rollback is: each step with its proposal, the approvals, the decision and the outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from schemas.decisions import ROLLBACK, Decision
from schemas.envelope import Envelope
from schemas.events import RemovalFailed, RemovalSkipped, TransferFailed, TransferSkipped
from schemas.outcomes import Outcome
from schemas.references import Repository
from schemas.rollbacks import RollbackApproved, RollbackPlan, RollbackRequested
from streams.audit.tag_history import read_histories
from streams.history import recorded, recorded_of
from streams.log import ReadableLog
from streams.topics import DECISIONS, EVENTS
from streams.transfers.ledger import require_prefix
from streams.transfers.transfer import ended_as
from towline.errors import MisuseError

StepState = Literal["undecided", "waiting", "denied", "left", "pending", "completed", "skipped", "failed"]
"""``waiting`` for approvals; ``left``: the tag has what it is to have already; ``pending``: approved, not ended."""

#: States after which a step may be proposed anew.
ENDED = frozenset({"denied", "left", "completed", "skipped", "failed"})


@dataclass(frozen=True, slots=True)
class StepStory:
    """One step of a plan, by its last proposal."""

    request_id: str
    request: RollbackRequested
    approved_by: tuple[str, ...]
    state: StepState
    detail: str
    #: The last decision on it; None while no worker has decided.
    decision_id: str | None


@dataclass(frozen=True, slots=True)
class RollbackStory:
    """A plan as the log has it."""

    plan_id: str
    cause: str
    #: In the order of the plan; those that are not in the log are missing.
    steps: tuple[StepStory, ...]
    #: How many steps the plan has.
    count: int

    @property
    def plan(self) -> RollbackPlan:
        """The plan that was proposed.

        Raises:
            MisuseError: not all of it is in the log, or what is there is no such plan.
        """
        if len(self.steps) < self.count:
            raise MisuseError(
                f"only {len(self.steps)} of the {self.count} steps of plan {self.plan_id} are in the log: let it be "
                "proposed once more"
            )
        first = self.steps[0].request
        plan = RollbackPlan(
            cause=first.cause, revision=first.revision, steps=tuple(step.request.step for step in self.steps)
        )
        if plan.plan_id != self.plan_id:
            raise MisuseError(f"what the log has of plan {self.plan_id} does not fit its id: do not approve it")
        return plan


@dataclass(slots=True)
class _Gathered:
    requests: dict[str, Envelope[RollbackRequested]] = field(default_factory=dict)
    #: By request, who approved, by event.
    approvals: dict[str, dict[str, RollbackApproved]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    #: By event, the decision on it.
    decisions: dict[str, Envelope[Decision]] = field(default_factory=dict)


async def read_rollbacks(log: ReadableLog) -> dict[str, RollbackStory]:
    """Return every plan that was proposed, by its id, in the order of the first proposals.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    gathered = _Gathered()
    for partition in range(await log.partitions(EVENTS)):
        async for item in recorded(log, EVENTS, partition):
            match item.envelope.data:
                case RollbackRequested():
                    gathered.requests.setdefault(item.envelope.id, cast("Envelope[RollbackRequested]", item.envelope))
                case RollbackApproved() as data:
                    gathered.approvals.setdefault(data.request_id, {}).setdefault(item.envelope.id, data)
                case Outcome(policy=policy) as data if policy == ROLLBACK:
                    gathered.outcomes.setdefault(data.decision_id, data)
                case _:
                    pass
    await _read_decisions(log, gathered)
    plans: dict[str, list[Envelope[RollbackRequested]]] = {}
    for request in sorted(gathered.requests.values(), key=lambda one: one.time):
        plans.setdefault(request.data.plan_id, []).append(request)
    return {plan_id: _story(plan_id, requests, gathered) for plan_id, requests in plans.items()}


async def find_rollback(log: ReadableLog, prefix: str) -> RollbackStory:
    """Return the plan whose id begins with ``prefix``.

    Raises:
        MisuseError: none does, or several do.
        LogUnavailableError: the log cannot be reached.
    """
    require_prefix(prefix)
    found = [story for plan_id, story in (await read_rollbacks(log)).items() if plan_id.startswith(prefix)]
    if len(found) != 1:
        what = "no plan was proposed whose id" if not found else f"{len(found)} plans were proposed whose ids"
        raise MisuseError(f"{what} begin{'s' if not found else ''} with {prefix}: look at `towline rollback list`")
    return found[0]


async def present_digests(log: ReadableLog, story: RollbackStory) -> Mapping[str, str | None]:
    """Return what each target of a plan has now, as far as the log knows.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    histories = await read_histories(log, [step.request.target for step in story.steps])
    return {str(target): stays[-1].digest if stays else None for target, stays in histories.items()}


async def _read_decisions(log: ReadableLog, gathered: _Gathered) -> None:
    repositories: set[Repository] = {request.data.target.repository for request in gathered.requests.values()}
    async for item in recorded_of(log, DECISIONS, repositories):
        data = item.envelope.data
        if isinstance(data, Decision) and data.policy == ROLLBACK:
            gathered.decisions.setdefault(data.event_id, cast("Envelope[Decision]", item.envelope))


def _story(plan_id: str, requests: list[Envelope[RollbackRequested]], gathered: _Gathered) -> RollbackStory:
    last: dict[int, Envelope[RollbackRequested]] = {}
    for request in requests:
        known = last.get(request.data.number)
        # One that came while another waited was not taken, and has no decision.
        if known is None or request.id in gathered.decisions or known.id not in gathered.decisions:
            last[request.data.number] = request
    steps = tuple(_step(last[number], gathered) for number in sorted(last))
    return RollbackStory(plan_id, requests[0].data.cause, steps, requests[0].data.steps)


def _step(request: Envelope[RollbackRequested], gathered: _Gathered) -> StepStory:
    approvals = gathered.approvals.get(request.id, {})
    # That the proposer may not approve is a decision on the approval, and none on the step.
    others = {id_: data.actor for id_, data in approvals.items() if data.actor != request.data.actor}
    made = [gathered.decisions[event] for event in (request.id, *others) if event in gathered.decisions]
    ended = [decision for decision in made if decision.data.verdict != "hold"]
    decision = next(iter([*ended, *made]), None)
    state, detail = _standing(decision, gathered.outcomes)
    decision_id = None if decision is None else decision.id
    return StepStory(request.id, request.data, tuple(dict.fromkeys(others.values())), state, detail, decision_id)


def _standing(decision: Envelope[Decision] | None, outcomes: Mapping[str, Outcome]) -> tuple[StepState, str]:
    if decision is None:
        return "undecided", "no worker has decided yet: see that one runs"
    match decision.data.verdict:
        case "hold":
            return "waiting", decision.data.reason
        case "deny":
            return "denied", decision.data.reason
        case "ignore":
            return "left", decision.data.reason
        case _:
            return _ended(outcomes.get(decision.id))


def _ended(outcome: Outcome | None) -> tuple[StepState, str]:
    match outcome:
        case None:
            return "pending", "approved, and not carried out yet"
        case TransferFailed() | RemovalFailed():
            return "failed", f"{outcome.cause}: {outcome.detail}"
        case TransferSkipped() | RemovalSkipped():
            return "skipped", outcome.reason or "the tag had it already"
        case _:
            return ended_as(outcome), ""
