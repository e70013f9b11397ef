"""What is known of the rollbacks of target tags, and which digests they bar from which repositories."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from schemas.canonical import canonical_bytes
from schemas.references import Reference, Repository
from schemas.rollbacks import DigestBarred, RollbackRequested
from towline import limits
from towline.policy.state.values import Draft, StateView


@dataclass(frozen=True, slots=True)
class RollbackState:
    """The last proposal of one step of a plan."""

    #: The event that proposed it.
    request_id: str
    request: RollbackRequested
    #: By who approved, the event. The one who proposed may be among them, and does not count.
    approvals: Mapping[str, str] = field(default_factory=dict)
    #: It was carried out or denied for good: nothing more follows from it.
    is_settled: bool = False
    #: The ids of the proposals before it, newest last.
    earlier: tuple[str, ...] = ()

    @classmethod
    def read(cls, state: StateView, plan_id: str, target: Reference) -> "RollbackState | None":
        """Return the last proposal; None when there was none."""
        value = state.get(_rollback_key(plan_id, target))
        if value is None:
            return None
        return cls(
            value["request_id"],
            RollbackRequested.model_validate_json(canonical_bytes(value["request"])),
            value["approvals"],
            value["is_settled"],
            tuple(value["earlier"]),
        )

    def write(self, draft: Draft) -> None:
        """Keep it."""
        value = {
            "request_id": self.request_id,
            "request": self.request.model_dump(mode="json"),
            "approvals": dict(self.approvals),
            "is_settled": self.is_settled,
            "earlier": list(self.earlier[-limits.recent_event_count :]),
        }
        draft.put(_rollback_key(self.request.plan_id, self.request.target), value)


@dataclass(frozen=True, slots=True)
class Bar:
    """Why policies do not bring a digest to a repository again."""

    #: The last revision whose policies are meant; None: those of every one.
    revision: int | None
    plan_id: str
    actor: str
    reason: str
    #: The source repositories from which somebody wanted the digest there all the same.
    lifted: tuple[str, ...] = ()
    #: The ids of the last events that told of it, newest last: whatever is told again bars nothing.
    recent: tuple[str, ...] = ()

    @classmethod
    def read(cls, state: StateView, repository: Repository, digest: str) -> "Bar | None":
        """Return what is known of the bar, be it lifted or not; None when there never was one."""
        value = state.get(_bar_key(repository, digest))
        if value is None:
            return None
        return cls(**{**value, "lifted": tuple(value["lifted"]), "recent": tuple(value["recent"])})

    def write(self, draft: Draft, repository: Repository, digest: str) -> None:
        """Keep it."""
        lists = {"lifted": list(self.lifted), "recent": list(self.recent)}
        value = {name: getattr(self, name) for name in self.__slots__} | lists
        draft.put(_bar_key(repository, digest), value)


def bar(draft: Draft, event_id: str, data: DigestBarred) -> None:
    """Note that a digest is barred from a repository, from whatever source.

    The widest bar counts, in whatever order they come.
    """
    known = Bar.read(draft, data.target_repository, data.digest)
    told = () if known is None else known.recent
    if event_id in told:
        return
    recent = (*told, event_id)[-limits.recent_event_count :]
    chosen = Bar(data.revision, data.plan_id, data.actor, data.reason, recent=recent)
    if known is not None and _is_wider(known.revision, data.revision):
        chosen = replace(known, lifted=(), recent=recent)
    chosen.write(draft, data.target_repository, data.digest)


def lift(draft: Draft, source: Repository, repository: Repository, digest: str) -> None:
    """Note that somebody wants a digest in a repository all the same: policies of this source may bring it again.

    Other sources stay barred: which of them are in the same partition must not matter.
    """
    known = Bar.read(draft, repository, digest)
    if known is not None and str(source) not in known.lifted:
        replace(known, lifted=(*known.lifted, str(source))).write(draft, repository, digest)


def bar_refusal(state: StateView, source: Repository, target: Reference, digest: str, revision: int) -> str | None:
    """Return why a policy of a revision may not bring a digest from a source to a target; None when it may."""
    known = Bar.read(state, target.repository, digest)
    if known is None or not _is_wider(known.revision, revision) or str(source) in known.lifted:
        return None
    later = "" if known.revision is None else f", or a revision after {known.revision},"
    return (
        f"{known.actor} had this digest rolled back from {target.repository}: {known.reason} (plan "
        f"{known.plan_id[:12]}); only `towline promote`{later} brings it there again"
    )


def _is_wider(one: int | None, other: int | None) -> bool:
    """Tell whether a bar up to a revision holds for another revision too; None is all of them."""
    return one is None or (other is not None and one >= other)


def _rollback_key(plan_id: str, target: Reference) -> str:
    return f"rollback {plan_id} {target}"


def _bar_key(repository: Repository, digest: str) -> str:
    return f"bar {repository}@{digest}"
