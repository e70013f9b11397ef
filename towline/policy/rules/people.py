"""Rules on who vouches for an image: signatures and approvals."""

from schemas.rules import ApprovedRule, SignedRule
from towline.policy.rules.found import Found, decided
from towline.policy.rules.view import ImageView


def find_signed(rule: SignedRule, view: ImageView) -> Found:
    """Look for signatures by the keys; one that is missing may come later."""
    known = view.facts.signatures
    signed = [key for key in rule.values if key in known]
    needed = len(set(rule.values)) if rule.operator == "all-of" else 1
    events = tuple(sorted(known[key] for key in set(signed)))
    if len(set(signed)) >= needed:
        return decided(True, ", ".join(sorted(set(signed))), *events)
    missing = ", ".join(key for key in rule.values if key not in known)
    return Found("waits", ", ".join(sorted(set(signed))) or None, f"a signature by {missing}", events)


def find_approved(rule: ApprovedRule, view: ImageView) -> Found:
    """Count those who approved, without those who pushed the image and those whose approval has expired."""
    needed = int(rule.values[0])
    counted: list[str] = []
    refused: list[str] = []
    events: list[str] = []
    for actor, approval in sorted(view.facts.approvals.get(view.policy, {}).items()):
        events.append(approval["event"])
        if actor in view.image.pushed_by:
            refused.append(f"the approval of {actor} does not count: {actor} pushed the image")
        elif approval["expires_at"] is not None and approval["expires_at"] <= view.now_text:
            refused.append(f"the approval of {actor} expired at {approval['expires_at']}")
        else:
            counted.append(actor)
    actual = ", ".join(counted) or None
    if len(counted) >= needed:
        return decided(True, actual, *events)
    detail = "; ".join([f"{needed - len(counted)} more of {needed} approvals", *refused])
    return Found("waits", actual, detail, tuple(events))
