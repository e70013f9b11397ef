"""How mirrors are: when each last ran and last succeeded, when it runs next, and what is wrong with it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.canonical import content_id
from schemas.catalogue import type_of
from schemas.envelope import Envelope
from schemas.events import SyncRequested
from schemas.instants import format_instant, parse_instant
from schemas.patterns import SourcePattern
from schemas.policies import Mode, Policy
from schemas.references import Reference
from streams.facts import Teller
from streams.log import ReadableLog
from streams.publication import policies_in_force
from streams.transfers.ledger import Entry, entries, read_known, read_transfer
from streams.transfers.polls import Heard, read_polls
from streams.transfers.retries import read_retries
from towline.errors import MisuseError
from towline.policy.asking import AskedSource
from towline.policy.index import PolicyIndex

FINE: Final = "ok"
NEVER: Final = "never-run"


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """How the mirror of one policy is. Instants are those of the log."""

    policy: str
    source: str
    target: str
    mode: Mode
    #: The interval; None for a mirror that pushes drive.
    poll: str | None
    #: How often its source is compared with the log, to find pushes that no webhook told of; None when it never is, or
    #: somebody's interval sees to that.
    reconcile: str | None
    #: When its source was last asked or an image last copied, whatever came of it; and when that last went well.
    last_run: str | None
    last_success: str | None
    #: When its source is asked next, on the interval or to compare; None: never, or it was not asked yet.
    next_run: str | None
    #: Whether that moment has passed on the log's clock: then it is asked with the next tick.
    is_due: bool
    #: ``ok``; ``never-run``; or the cause of the last failure that nothing has made good: of its poll, else of a copy.
    code: str
    detail: str | None
    #: Target tags whose last transfer failed, or has not ended.
    failed: int
    pending: int


@dataclass(frozen=True, slots=True)
class _Mirror:
    """A policy, and how its source comes to be asked; None: by nobody's interval."""

    policy: Policy
    asked: AskedSource | None

    @property
    def asked_source(self) -> SourcePattern:
        """The source whose polls tell of this mirror."""
        return self.policy.source if self.asked is None else self.asked.source


@dataclass(slots=True)
class _Copies:
    """What the log tells of the transfers of one policy."""

    ended_at: str | None = None
    succeeded_at: str | None = None
    #: The last transfer for each target tag, when it failed or has not ended.
    unsettled: dict[Reference, Entry] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """Note the next transfer, in the order of the log for each target tag."""
        if entry.state in {"failed", "pending", "running"}:
            self.unsettled[entry.command.target] = entry
        else:
            self.unsettled.pop(entry.command.target, None)
        if entry.end is not None:
            self.ended_at = max(entry.end.time, self.ended_at or "")
            if entry.end.is_success:
                self.succeeded_at = max(entry.end.time, self.succeeded_at or "")

    def failed(self) -> list[Entry]:
        """Return those that failed, the last one last."""
        failed = [(entry.end.time, entry.place, entry) for entry in self.unsettled.values() if entry.end is not None]
        return [entry for *_, entry in sorted(failed)]


async def mirror_status(log: ReadableLog) -> list[MirrorStatus]:
    """Return how each policy is whose target is in another registry, or that has an interval, by name.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    policies = (await policies_in_force(log)).policies
    index = PolicyIndex(policies)
    asked = {item.source: item for item in index.asked}
    mirrors = {
        policy.name: _Mirror(policy, _asked(policy, index, asked)) for policy in policies.policies if _is_mirror(policy)
    }
    copies = await _read_copies(log, mirrors)
    heard = await read_polls(log, {mirror.asked_source for mirror in mirrors.values()})
    return [
        await _status(log, policies.reconcile, mirror, heard, copies[name]) for name, mirror in sorted(mirrors.items())
    ]


def sync_request(policies: Sequence[Policy], name: str, by: Teller) -> Envelope[SyncRequested]:
    """Return the event that somebody wants the source of a policy asked now.

    Raises:
        MisuseError: there is no such policy, or it is disabled.
    """
    policy = next((policy for policy in policies if policy.name == name), None)
    if policy is None:
        known = ", ".join(policy.name for policy in policies[:20]) or "none"
        raise MisuseError(f"no policy {name!r} is in force; there are: {known}")
    if policy.mode == "disabled":
        raise MisuseError(f"policy {name} is disabled: what its source has would lead to nothing")
    data = SyncRequested(policy=policy.name, source=policy.source, actor=by.actor)
    return Envelope(
        id=content_id(type_of(data), policy.name, str(policy.source), by.actor, by.now),
        source=by.source,
        subject=str(policy.source),
        time=by.now,
        data=data,
    )


def _is_mirror(policy: Policy) -> bool:
    return policy.poll is not None or policy.target.registry != policy.source.registry


async def _read_copies(log: ReadableLog, mirrors: Collection[str]) -> dict[str, _Copies]:
    known, retries = await read_known(log), await read_retries(log)
    copies = {name: _Copies() for name in mirrors}
    async for entry in entries(log, known):
        # One that was made again by hand makes good what its policy began.
        name = retries.policy_of(entry.command.decision_id, entry.command.policy)
        if name in copies:
            copies[name].take(entry)
    return copies


def _asked(policy: Policy, index: PolicyIndex, asked: Mapping[SourcePattern, AskedSource]) -> AskedSource | None:
    """Return how the source of a policy is asked: by itself, or as part of a glob that is asked at least as often."""
    repository = policy.source.repository
    if policy.mode == "disabled":
        return None
    if policy.source in asked or repository is None:
        return asked.get(policy.source)
    globs = [asked[found.policy.source] for found in index.matching(repository) if found.policy.source in asked]
    return min(globs, key=lambda glob: glob.interval, default=None)


async def _status(log: ReadableLog, reconcile: str, mirror: _Mirror, heard: Heard, copies: _Copies) -> MirrorStatus:
    policy, polls, failed = mirror.policy, heard.polls[mirror.asked_source], copies.failed()
    last_run = _later(polls.ended_at, copies.ended_at)
    code, detail = (NEVER, None) if last_run is None else (FINE, None)
    if polls.failure is not None:
        code, detail = polls.failure.cause, polls.failure.detail
    elif failed:
        last = await read_transfer(log, failed[-1])
        code, detail = last.cause or "failed", f"{last.target}: {last.detail}"
    next_run = None
    if mirror.asked is not None and polls.asked_at is not None:
        next_run = format_instant(parse_instant(polls.asked_at) + mirror.asked.interval)
    return MirrorStatus(
        policy=policy.name,
        source=str(policy.source),
        target=str(policy.target),
        mode=policy.mode,
        poll=policy.poll,
        reconcile=reconcile if mirror.asked is not None and mirror.asked.cause == "reconciliation" else None,
        last_run=last_run,
        last_success=_later(polls.succeeded_at, copies.succeeded_at),
        next_run=next_run,
        is_due=next_run is not None and heard.now is not None and next_run <= heard.now,
        code=code,
        detail=detail,
        failed=len(failed),
        pending=len(copies.unsettled) - len(failed),
    )


def _later(one: str | None, other: str | None) -> str | None:
    return max(one or "", other or "") or None
