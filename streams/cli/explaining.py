"""Explanations and lineages for people."""

from streams.audit.explain import Explanation, PolicyExplanation
from streams.audit.hops import Hop
from streams.audit.lineage import Lineage, Place
from streams.audit.origin import Beginning, Origin
from streams.audit.trail import TrailEntry
from streams.cli.output import note, say
from towline.policy.rules.find import describe_finding


def print_explanation(explanation: Explanation) -> None:
    """Print an explanation."""
    say(f"{explanation.reference} -> {explanation.digest or 'nothing'}")
    say(f"  {explanation.came_by}")
    if explanation.origin is not None:
        _print_way(explanation.origin, "  ")
    if explanation.is_known and not explanation.policies:
        say("  not judged yet; is a worker running?" if explanation.digest else "  nothing to judge")
    for policy in explanation.policies:
        _print_policy(policy)
    for line in explanation.notes:
        say(f"  {line}")


def _print_policy(policy: PolicyExplanation) -> None:
    name = f"policy {policy.policy}" if policy.policy else "no policy"
    shadow = " in shadow: recorded only" if policy.mode == "shadow" else ""
    due = f", until {policy.due_at} at least" if policy.due_at else ""
    say(f"  {name} (revision {policy.revision}): {policy.verdict}{due}{shadow}")
    if policy.decided_by is not None:
        say(f"    decided on {_told(policy.decided_by)}")
    if not policy.rules:
        say(f"    {policy.reason}")
    for rule in policy.rules:
        say(f"    {rule.result}: {describe_finding(rule)}")
    for fact in policy.facts:
        say(f"    looked at {_told(fact)}")
    if policy.outcome is not None:
        detail = f": {policy.outcome_detail}" if policy.outcome_detail else ""
        say(f"    to {policy.target}: {policy.outcome}{detail}")


def _told(entry: TrailEntry) -> str:
    return f"{entry.type} at {entry.position} of {entry.time}: {entry.text}"


def print_origin(origin: Origin) -> None:
    """Print from where a tag has what it has."""
    if origin.digest is None:
        say(f"the log knows of nothing that {origin.reference} has: see towline explain {origin.reference}")
        return
    say(f"{origin.reference} -> {origin.digest}")
    if origin.kept_from is not None:
        say(f"  kept by a transfer to {origin.kept_from}, which had it before")
    _print_way(origin, "  ")


def _print_way(origin: Origin, indent: str) -> None:
    for hop in origin.hops:
        say(f"{indent}from {hop.source}@{hop.digest}: {_how(hop)}")
    if origin.beginning is not None:
        say(f"{indent}{_began(origin.beginning)}")
    elif origin.hops:
        say(f"{indent}where it was before anybody told")


def _began(beginning: Beginning) -> str:
    return f"began at {beginning.position} of {beginning.time}: {beginning.text}"


def _how(hop: Hop) -> str:
    revision = "" if hop.revision is None else f" (revision {hop.revision})"
    approved = f", approved by {' and '.join(hop.approved_by)}" if hop.approved_by else ""
    before = "" if hop.previous_digest in {None, hop.arrived_digest} else f"; before: {hop.previous_digest}"
    kept = "" if hop.backup is None else f", kept as {hop.backup}"
    ended = "" if hop.ended_at is None else f" at {hop.ended_at}"
    return f"{hop.policy}{revision}{approved}: {hop.outcome}{ended}{before}{kept}"


def print_lineage(lineage: Lineage) -> None:
    """Print everywhere that an image came to, as a tree."""
    if not lineage.places:
        say(f"the log knows nothing of {lineage.digest}")
    for digest in lineage.related_digests:
        say(f"with {digest}, the index of other platforms")
    for place in lineage.places:
        _print_place(place, "")
    if lineage.is_cut:
        note("there are more places than are shown")


def _print_place(place: Place, indent: str) -> None:
    now = "" if place.is_current else " (not any more)"
    say(f"{indent}{place.reference} -> {place.digest}{now}")
    if place.beginning is not None:
        say(f"{indent}  {_began(place.beginning)}")
    for branch in place.hops:
        say(f"{indent}  to {branch.transfer.target}: {_how(branch.transfer)}")
        if branch.place is not None:
            _print_place(branch.place, f"{indent}    ")
