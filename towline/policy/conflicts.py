"""Conflicts: one target tag that is wanted for different digests. Nobody gets it, and all say why.

Policies with different sources cannot meet at a target: the check at apply refuses such sets. So whoever can want a
target tag is judged in one partition.
"""

from collections.abc import Mapping
from typing import Final

from schemas.decisions import Decision
from schemas.references import Reference
from towline.policy.index import Match
from towline.policy.state.values import Draft

_ACTS: Final = frozenset({"promote", "mirror"})
#: Of a digest, enough for people to tell two apart.
_SHOWN_LENGTH: Final = len("sha256:") + 12
_CONTESTED: Final = "is wanted for different digests"

#: What is wanted for a target tag: by who wants it, the digest.
_Claims = dict[str, str]


def settle(draft: Draft, judged: list[tuple[Match, Decision]]) -> list[Decision]:
    """Return the decisions, with those denied that want a target tag which another wants for another digest."""
    if len(judged) == 1 and not judged[0][0].is_contested:
        return [judged[0][1]]  # As nearly always: nobody else can want its target.
    wanted: dict[Reference, _Claims] = {}
    contested: dict[Reference, dict[str, str]] = {}
    for match, decision in judged:
        if decision.target is not None and _acts(decision):
            wanted.setdefault(decision.target, {})[f"{decision.policy} ({decision.source})"] = decision.digest
            if match.is_contested:
                contested.setdefault(decision.target, {})[match.policy.name] = decision.digest
    for target, digests in contested.items():
        wanted[target] |= _claim(draft, target, digests, judged[0][1].revision)
    return [_settled(decision, wanted) for _, decision in judged]


def is_conflict(decision: Decision) -> bool:
    """Tell whether a decision was denied because another digest is wanted for its target tag."""
    return decision.verdict == "deny" and decision.reason.startswith(f"{decision.target} {_CONTESTED}")


def _acts(decision: Decision) -> bool:
    return decision.verdict in _ACTS and decision.mode == "enforce"


def _claim(draft: Draft, target: Reference, digests: Mapping[str, str], revision: int) -> _Claims:
    """Remember what policies want for a target tag, and return what others wanted under the same revision."""
    key = f"claims {target}"
    known = draft.get(key)
    before: Mapping[str, str] = known["digests"] if known is not None and known["revision"] == revision else {}
    draft.put(key, {"revision": revision, "digests": {**before, **digests}})
    return {f"{name} (earlier)": digest for name, digest in before.items() if name not in digests}


def _settled(decision: Decision, wanted: Mapping[Reference, _Claims]) -> Decision:
    if decision.target is None or not _acts(decision):
        return decision
    claims = wanted[decision.target]
    if len(set(claims.values())) == 1:
        return decision
    told = "; ".join(f"{digest[:_SHOWN_LENGTH]} by {name}" for name, digest in sorted(claims.items()))
    reason = f"{decision.target} {_CONTESTED}: {told}"
    return decision.model_copy(update={"verdict": "deny", "reason": reason})
