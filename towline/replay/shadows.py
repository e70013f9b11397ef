"""What a policy in shadow decided, against what was done, and against what a what-if says of it."""

from dataclasses import dataclass, field
from typing import Final

from towline.replay.differences import ActKey, History, Made, VerdictKey

_COPIES: Final = frozenset({"promote", "mirror"})


@dataclass(frozen=True, slots=True)
class ShadowFinding:
    """One image under a tag, of which the policy in shadow says something else."""

    source: str
    digest: str
    #: What the policy in shadow decided, as ``VERDICT TARGET``; None when it decided nothing.
    shadow: str | None
    #: What it is compared with.
    other: str | None
    reason: str


@dataclass(slots=True)
class ShadowReport:
    """The decisions of one policy in shadow."""

    policy: str
    #: Images under tags that it judged.
    judged: int = 0
    #: It wants what enforced policies did as well.
    agreed: int = 0
    #: It wants what nobody did.
    only_shadow: list[ShadowFinding] = field(default_factory=list)
    #: Others did what it does not want, with images that it judged, in the repositories where it brings images.
    only_enforced: list[ShadowFinding] = field(default_factory=list)
    #: Where a what-if of the policy comes out otherwise than it was recorded.
    what_if_differs: list[ShadowFinding] = field(default_factory=list)


def against_shadow(policy: str, recorded: History, proposed: History) -> ShadowReport:
    """Compare the recorded decisions of a policy in shadow."""
    shadows = {key: made for key, made in recorded.shadows.items() if key.policy == policy}
    report = ShadowReport(policy, judged=len(shadows))
    wanted = {
        ActKey(is_removal=False, digest=made.digest, target=made.target): made
        for made in shadows.values()
        if made.verdict in _COPIES and made.target is not None
    }
    for act, made in wanted.items():
        if recorded.has(act):
            report.agreed += 1
        else:
            report.only_shadow.append(_finding(made, None, made.reason))
    judged = {(made.source, made.digest): made for made in shadows.values()}
    places = {_repository(made.target) for made in shadows.values() if made.target is not None}
    for act, other in recorded.acts.items():
        mine = judged.get((other.source, other.digest))
        if mine is not None and not act.is_removal and act not in wanted and _repository(act.target) in places:
            report.only_enforced.append(_finding(mine, other, mine.reason))
    report.what_if_differs = _what_if_differs(policy, shadows, proposed)
    for findings in (report.only_shadow, report.only_enforced, report.what_if_differs):
        findings.sort(key=str)
    return report


def _what_if_differs(policy: str, shadows: dict[VerdictKey, Made], proposed: History) -> list[ShadowFinding]:
    again = {key: made for key, made in [*proposed.shadows.items(), *proposed.verdicts.items()] if key.policy == policy}
    found: list[ShadowFinding] = []
    for key, mine in shadows.items():
        other = again.pop(key, None)
        if other is None or (mine.verdict, mine.target) != (other.verdict, other.target):
            found.append(_finding(mine, other, mine.reason if other is None else other.reason))
    found += [ShadowFinding(made.source, made.digest, None, _said(made), made.reason) for made in again.values()]
    return found


def _finding(mine: Made, other: Made | None, reason: str) -> ShadowFinding:
    return ShadowFinding(mine.source, mine.digest, _said(mine), _said(other), reason)


def _said(made: Made | None) -> str | None:
    return None if made is None else f"{made.verdict} {made.target or ''}".rstrip()


def _repository(target: str | None) -> str:
    return str(target).rpartition(":")[0]
