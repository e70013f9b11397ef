"""Rollbacks and bars in a history, each found by going through it from its beginning."""

from dataclasses import dataclass, field
from typing import Any

from schemas.envelope import Envelope
from schemas.events import PromotionRequested
from schemas.references import Frozen
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackRequested
from tests.property.past import Past

History = list[Envelope[Frozen]]


@dataclass
class Waiting:
    """A proposal that waits, and who approved it so far."""

    request: RollbackRequested
    approvers: set[str] = field(default_factory=set)


@dataclass
class RolledBack:
    """What became of the rollbacks and bars of a history."""

    #: By the id of the proposal.
    waiting: dict[str, Waiting] = field(default_factory=dict)
    #: By repository and digest: up to which revision policies may not bring it, and the sources that may all the same.
    bars: dict[tuple[str, str], tuple[float, set[str]]] = field(default_factory=dict)
    #: What was decided with the last event.
    verdict: str | None = None

    @classmethod
    def of(cls, history: History) -> "RolledBack":
        found = cls()
        for number, event in enumerate(history):
            found.take(event, Past(history[:number]))
        return found

    def take(self, event: Envelope[Frozen], before: Past) -> None:
        data, self.verdict = event.data, None
        if isinstance(data, RollbackRequested):
            self.verdict = self.proposed(event.id, data, before)
        if isinstance(data, RollbackApproved) and data.request_id in self.waiting:
            self.verdict = self.approved(data, before)
        if isinstance(data, DigestBarred):
            self.bar(str(data.target_repository), data.digest, data.revision)
        if isinstance(data, PromotionRequested):
            known = self.bars.get((str(data.target.repository), data.digest))
            if known is not None:
                known[1].add(str(data.repository))

    def proposed(self, id_: str, data: RollbackRequested, before: Past) -> str | None:
        if any((one.request.plan_id, one.request.step) == (data.plan_id, data.step) for one in self.waiting.values()):
            return None
        ended = outdated(data, before)
        if ended is None:
            self.waiting[id_] = Waiting(data)
        return ended or "hold"

    def approved(self, data: RollbackApproved, before: Past) -> str | None:
        one = self.waiting[data.request_id]
        request = one.request
        if data.actor in one.approvers:
            return None
        one.approvers.add(data.actor)
        if data.actor == request.actor:
            return "deny"
        is_enough = len(one.approvers - {request.actor}) >= request.approvals
        ended = outdated(request, before)
        if ended is None and not is_enough:
            return "hold"
        del self.waiting[data.request_id]
        if is_enough and ended != "deny":
            self.bar(str(request.target.repository), request.step.barred_digest, request.revision)
        return ended or ("promote" if request.step.digest else "remove")

    def bar(self, repository: str, digest: str, revision: int | None) -> None:
        known, _ = self.bars.get((repository, digest), (0, set()))
        self.bars[repository, digest] = max(known, float("inf") if revision is None else revision), set()

    def bars_policies(self, source: str, target: str, digest: str, revision: int) -> bool:
        """Tell whether policies of a revision may not bring a digest from one repository to another."""
        last, sources = self.bars.get((target, digest), (-1, set()))
        return revision <= last and source not in sources


def outdated(data: Any, before: Past) -> str | None:
    present = before.tag(str(data.target)).digest
    if present == data.step.expected_digest:
        return None
    return "ignore" if present == data.step.digest else "deny"
