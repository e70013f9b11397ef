"""Decisions: what became of a push under each policy, and why. Negative ones too."""

from typing import Literal

from schemas.events import Revision
from schemas.references import Count, Digest, Frozen, Reference

Verdict = Literal["promote", "mirror", "hold", "deny", "ignore"]
"""``promote`` and ``mirror`` act; ``hold`` waits for a fact; ``deny`` names the rule that failed.

``ignore``: there is no policy, or nothing new.
"""

Holding = Literal["holds", "fails", "waits"]
"""The three values of a rule. ``waits``: the fact is not yet known."""


class RuleFinding(Frozen):
    """How one rule came out, on what it looked at."""

    field: str
    operator: str
    values: tuple[str, ...]
    actual: str | None
    result: Holding


class Decision(Frozen):
    """The verdict of one policy on one event. Its id is the envelope's."""

    event_id: str
    revision: Revision
    #: None when no policy has this repository as its source.
    policy: str | None
    verdict: Verdict
    source: Reference
    digest: Digest
    #: Where it goes, or would have gone; None when no policy matched.
    target: Reference | None
    rules: tuple[RuleFinding, ...]
    #: One sentence for people.
    reason: str
    #: How many transfers in a row led to this image, the commanded one included.
    hops: Count
