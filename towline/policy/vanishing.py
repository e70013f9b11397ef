"""What becomes of the targets when tags vanish from a source, by the policies that follow deletions.

It is settled when a poll agrees with the log on what is there: then everything is known that vanished, and nothing
that only a lost webhook left out. The tags are gone through some with each event. How much may go is decided for all of
them before, and with each event again: by what goes the share only sinks, so what was allowed stays so unless more
vanishes meanwhile.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.policies import Policy
from schemas.references import Frozen, Reference, Repository
from towline.policy.agenda import Agenda, Removal
from towline.policy.index import policies_in_force
from towline.policy.judge import record
from towline.policy.state.brought import (
    Brought,
    Tally,
    count_vanished,
    keep,
    note_brought,
    take_vanished,
    tallies,
)
from towline.policy.state.tags import TagState
from towline.policy.state.values import Draft, RevisionState, StateView, Value, judged_tag_count

#: Repositories whose vanished tags are gone through: ``{"rounds": [{"repository": …, "left": 7, "refusals": {…}}]}``.
_ROUNDS_KEY: Final = "rounds"
_VANISHED: Final = "the tag vanished from the source"


def remember_brought(draft: Draft, decisions: tuple[Envelope[Decision], ...]) -> None:
    """Note where the policies that follow deletions bring tags."""
    policies = policies_in_force(draft).by_name
    for item in decisions:
        made = item.data
        policy = None if made.policy is None else policies.get(made.policy)
        if policy is None or policy.deletions == "never" or made.mode != "enforce" or made.target is None:
            continue
        if made.verdict in {"promote", "mirror"}:
            note_brought(draft, made.source, policy.name, Brought(made.target, made.digest, made.hops))


def begin_settlement(draft: Draft, repository: Repository) -> None:
    """Decide how much of what vanished from a repository may go at the targets, if anything is to be decided."""
    known = tallies(draft, repository)
    rounds = _rounds(draft)
    if not known or any(item["repository"] == str(repository) for item in rounds):
        return
    policies = [policy for policy in _following(draft, repository).values() if policy.name in known]
    refusals = {policy.name: _refusal(policy, known[policy.name], repository) for policy in policies}
    if any(_is_open(policy, known[policy.name], refusals[policy.name]) for policy in policies):
        left = count_vanished(draft, repository)
        _write(draft, [*rounds, {"repository": str(repository), "left": left, "refusals": refusals}])


def _following(state: StateView, repository: Repository) -> dict[str, Policy]:
    matches = policies_in_force(state).matching(repository)
    return {match.policy.name: match.policy for match in matches if match.policy.deletions != "never"}


def _refusal(policy: Policy, tally: Tally, repository: Repository) -> str | None:
    """Return why nothing goes; None when what vanished may."""
    share = int(policy.deletions.removesuffix("%"))
    if tally.vanished * 100 <= share * tally.brought:
        return None
    return (
        f"{_VANISHED}, but the target keeps it: {tally.vanished} of the {tally.brought} tags that the policy brought "
        f"from {repository} vanished at once, more than {policy.deletions}"
    )


def _is_open(policy: Policy, tally: Tally, refusal: str | None) -> bool:
    """Tell whether a tag of a policy is to be decided: one that vanished anew, or that was kept and may go now."""
    may_go = refusal is None and policy.mode == "enforce"
    return tally.vanished > tally.kept or (tally.kept > 0 and may_go)


def next_removals(draft: Draft) -> tuple[Removal, ...]:
    """Return what becomes of the next of the vanished tags; those that returned are passed over."""
    rounds = _rounds(draft)
    if not rounds:
        return ()
    at, *others = rounds
    repository = Repository.parse(at["repository"])
    policies, known_tallies = _following(draft, repository), tallies(draft, repository)
    refusals = {
        name: refusal or _refusal(policies[name], known_tallies[name], repository)
        for name, refusal in at["refusals"].items()
        if name in policies and name in known_tallies
    }
    count = min(at["left"], judged_tag_count(draft))
    found: list[Removal] = []
    for source, known in take_vanished(draft, repository, count):
        if known and TagState.read(draft, source).digest is None:
            found += _settle(draft, source, known, policies, refusals)
    left = at["left"] - count
    _write(draft, [{**at, "left": left}, *others] if left else others)
    return tuple(found)


def _settle(
    draft: Draft,
    source: Reference,
    known: Mapping[str, Brought],
    policies: Mapping[str, Policy],
    refusals: Mapping[str, str | None],
) -> list[Removal]:
    found: list[Removal] = []
    kept: dict[str, Brought] = {}
    for name, item in sorted(known.items()):
        policy = policies.get(name)
        if policy is None or name not in refusals:
            kept[name] = item  # It does not follow deletions now, or did not when the round began.
            continue
        refusal = refusals[name]
        if refusal is not None or policy.mode != "enforce":
            kept[name] = replace(item, is_kept=True)
            if item.is_kept:
                continue  # That was decided before.
        found.append(Removal(source, name, item.target, item.digest, item.hops, refusal))
    keep(draft, source, known, kept)
    return found


def removals(draft: Draft, event: Envelope[Frozen], agenda: Agenda) -> tuple[Envelope[Decision], ...]:
    """Return the decisions on the targets of what vanished."""
    policies = policies_in_force(draft).by_name
    revision = RevisionState.read(draft).revision
    return tuple(
        record(
            event,
            Decision(
                event_id=event.id,
                revision=revision,
                policy=item.policy,
                verdict="remove" if item.refusal is None else "deny",
                source=item.source,
                digest=item.digest,
                target=item.target,
                rules=(),
                reason=item.refusal or _VANISHED,
                hops=item.hops,
                mode=policies[item.policy].mode,
            ),
            is_arrival=False,
        )
        for item in agenda.removals
    )


def _rounds(state: StateView) -> list[dict[str, Any]]:
    value: Value | None = state.get(_ROUNDS_KEY)
    return [] if value is None else [*value["rounds"]]


def _write(draft: Draft, rounds: list[dict[str, Any]]) -> None:
    draft.put(_ROUNDS_KEY, {"rounds": rounds} if rounds else None)
