"""Making failed transfers again: which ones may be, and the events that ask for them.

A retry is an event like any wish of a person: the evaluator decides it, and a command with a trail of its own follows.
Its id derives from the command that failed, so that asking twice asks once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from schemas.canonical import content_id
from schemas.catalogue import type_of
from schemas.commands import CopyImage
from schemas.decisions import ROLLBACK
from schemas.envelope import Envelope
from schemas.events import PromotionRequested, RetriedTransfer
from schemas.references import Reference
from streams.facts import Teller
from streams.log import EventLog, ReadableLog
from streams.routing import event_append
from streams.transfers.ledger import Entry, entries, only, read_known, require_prefix
from streams.transfers.retries import Retries, read_retries
from streams.transfers.transfer import State
from towline import limits


@dataclass(frozen=True, slots=True)
class Refused:
    """A transfer that is not made again, with what to do instead."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """What a retry would ask for, and what it would not."""

    requests: tuple[Envelope[PromotionRequested], ...]
    refused: tuple[Refused, ...]
    #: How many beyond the bound of one retry.
    more: int = 0


@dataclass(frozen=True, slots=True)
class _Survey:
    chosen: list[Entry]
    #: The last command for each target that a chosen one has: its offset and its id.
    last: dict[Reference, tuple[int, str]]
    #: The commands of retries by their decision, and how far they are.
    again: dict[str, tuple[str, State]]
    retries: Retries


async def plan_retry_of(log: ReadableLog, prefixes: list[str], by: Teller) -> RetryPlan:
    """Return the plan for the transfers whose commands' ids begin so, each prefix naming one.

    Raises:
        MisuseError: a prefix names none, or several.
        LogUnavailableError: the log cannot be reached.
    """
    for prefix in prefixes:
        require_prefix(prefix)
    survey = await _survey(log, lambda entry: entry.id.startswith(tuple(prefixes)))
    named = {}
    for prefix in prefixes:
        entry = only(prefix, [entry for entry in survey.chosen if entry.id.startswith(prefix)])
        named[entry.id] = entry
    return _plan(list(named.values()), survey, by)


async def plan_retry_by_cause(log: ReadableLog, cause: str, by: Teller) -> RetryPlan:
    """Return the plan for everything that failed for a cause, the oldest first, up to ``limits.retry_count`` of them.

    What was retried already, or came before a later decision for its target tag, is left out with its reason.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    survey = await _survey(log, lambda entry: entry.end is not None and entry.end.cause == cause)
    return _plan(survey.chosen, survey, by)


async def ask(log: EventLog, plan: RetryPlan) -> None:
    """Bring the requests of a plan into the log; return when all are safe there.

    Raises:
        LogUnavailableError: not all were acknowledged in time. Asking again asks for none twice.
    """
    appends = [event_append(request) for request in plan.requests]
    for start in range(0, len(appends), limits.batch_record_count):
        await log.append_all(appends[start : start + limits.batch_record_count])


async def _survey(log: ReadableLog, is_chosen: Callable[[Entry], bool]) -> _Survey:
    known, retries = await read_known(log), await read_retries(log)
    chosen: list[Entry] = []
    last: dict[Reference, tuple[int, str]] = {}
    again: dict[str, tuple[str, State]] = {}
    async for entry in entries(log, known):
        if is_chosen(entry):
            chosen.append(entry)
        # Equal targets share a partition, in which what is read later was written later.
        last[entry.command.target] = (entry.recorded.record.offset, entry.id)
        if entry.command.decision_id in retries.by_decision:
            again[entry.command.decision_id] = (entry.id, entry.state)
    return _Survey(sorted(chosen, key=lambda entry: entry.place), last, again, retries)


def _plan(chosen: list[Entry], survey: _Survey, by: Teller) -> RetryPlan:
    requests: list[Envelope[PromotionRequested]] = []
    refused: list[Refused] = []
    for entry in chosen:
        reason = _refusal(entry, survey)
        if reason is None:
            requests.append(_request(entry, cast("CopyImage", entry.command), survey.retries, by))
        else:
            refused.append(Refused(entry.id, reason))
    taken = requests[: limits.retry_count]
    return RetryPlan(tuple(taken), tuple(refused), len(requests) - len(taken))


def _refusal(entry: Entry, survey: _Survey) -> str | None:
    if not isinstance(entry.command, CopyImage):
        return "it is a removal, which only its policy can decide again"
    if entry.state in {"pending", "running"}:
        return "it has not ended yet: wait for it, or see that a worker runs"
    if entry.state != "failed":
        return f"it ended as {entry.state}: there is nothing to retry"
    if survey.retries.policy_of(entry.command.decision_id, entry.command.policy) == ROLLBACK:
        # Approved was what the tag had then, and somebody may have pushed since.
        return "it is part of a rollback: propose that plan again (`towline rollback list`), for what the tag has now"
    if (retry := survey.retries.of.get(entry.id)) is not None:
        known = survey.again.get(retry.decision_id or "")
        if known is None:
            return f"a retry was asked for at {retry.asked.position} and is not decided yet: see that a worker runs"
        id_, state = known
        todo = {"failed": "retry that one", "pending": "wait for it", "running": "wait for it"}.get(
            state, "there is nothing to do"
        )
        return f"it was retried as {id_}, which is {state}: {todo}"
    offset, last = survey.last[entry.command.target]
    if offset > entry.recorded.record.offset:
        return (
            f"the later transfer {last} is for the same tag, and the latest decision wins: "
            f"use `towline promote` if {entry.command.digest} is to be there all the same"
        )
    return None


def _request(entry: Entry, command: CopyImage, retries: Retries, by: Teller) -> Envelope[PromotionRequested]:
    data = PromotionRequested(
        repository=command.source.repository,
        tag=command.source.tag,
        digest=command.digest,
        target=command.target,
        actor=by.actor,
        retries=RetriedTransfer(
            command_id=entry.id,
            policy=retries.policy_of(command.decision_id, command.policy),
            hops=command.hops,
            options=command.options,
            pushed_by=command.pushed_by,
        ),
    )
    return Envelope(
        id=content_id(type_of(data), "retry", entry.id),
        source=by.source,
        subject=str(command.source),
        time=by.now,
        data=data,
    )
