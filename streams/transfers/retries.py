"""Which transfers were made again, and as what: a retry is an event, its decision, and a command of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import PromotionRequested
from streams.history import Recorded, recorded, recorded_of
from streams.log import ReadableLog
from streams.topics import DECISIONS, EVENTS


class Retry(NamedTuple):
    """The event that asked for a failed transfer again, and the decision on it."""

    asked: Recorded
    #: None while no worker has decided.
    decision_id: str | None

    @property
    def request(self) -> PromotionRequested:
        """What was asked for."""
        return cast("PromotionRequested", self.asked.envelope.data)


@dataclass(frozen=True, slots=True)
class Retries:
    """All retries in the log."""

    #: By the id of the command that failed.
    of: Mapping[str, Retry]
    #: By the decision on it, which the new command names.
    by_decision: Mapping[str, Retry]

    def policy_of(self, decision_id: str, policy: str) -> str:
        """Return the policy that a command goes back to: of a retry, that of the first one that failed."""
        retry = self.by_decision.get(decision_id)
        return policy if retry is None or retry.request.retries is None else retry.request.retries.policy


async def read_retries(log: ReadableLog) -> Retries:
    """Return the retries that the log holds, each with its decision.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    asked: dict[str, tuple[str, Recorded]] = {}
    for partition in range(await log.partitions(EVENTS)):
        async for item in recorded(log, EVENTS, partition):
            data = item.envelope.data
            if isinstance(data, PromotionRequested) and data.retries is not None:
                asked.setdefault(item.envelope.id, (data.retries.command_id, item))
    decided: dict[str, str] = {}
    sources = {cast("Envelope[PromotionRequested]", item.envelope).data.repository for _, item in asked.values()}
    async for item in recorded_of(log, DECISIONS, sources):
        data = item.envelope.data
        if isinstance(data, Decision) and data.event_id in asked:
            decided.setdefault(data.event_id, item.envelope.id)
    retries = {command_id: Retry(item, decided.get(id_)) for id_, (command_id, item) in asked.items()}
    return Retries(retries, {item.decision_id: item for item in retries.values() if item.decision_id is not None})
