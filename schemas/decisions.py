"""Decisions: what became of a push under each policy, and why. Negative ones too."""

from typing import Final, Literal

from schemas.events import Revision
from schemas.instants import Instant
from schemas.policies import CopyOptions, Mode
from schemas.references import Actor, Count, Digest, Frozen, Reference

#: The policy of a decision that a person asked for; no policy can have this name.
MANUAL: Final = "(manual)"
#: The policy of a decision on a rollback.
ROLLBACK: Final = "(rollback)"

Verdict = Literal["promote", "mirror", "hold", "deny", "ignore", "remove"]
"""``promote`` and ``mirror`` act; ``hold`` waits for a fact; ``deny`` names the rule that failed.

``ignore``: there is no policy, or nothing new. ``remove``: the tag vanished from the source, or is rolled back, so it
goes at the target.
"""

Holding = Literal["holds", "fails", "waits"]
"""The three values of a rule. ``waits``: the fact is not yet known."""


class RuleFinding(Frozen):
    """How one rule came out, on what it looked at."""

    field: str
    #: Which label or annotation.
    name: str | None = None
    operator: str
    values: tuple[str, ...]
    #: What it looked at; None when that is not known.
    actual: str | None
    result: Holding
    #: What it waits for, or more about why it failed, for people.
    detail: str | None = None
    #: The ids of the events that told what it looked at, beside the one that is decided.
    events: tuple[str, ...] = ()


class Decision(Frozen):
    """The verdict of one policy on one event. Its id is the envelope's."""

    event_id: str
    revision: Revision
    #: None when no policy has this repository as its source; ``(manual)`` when a person asked; ``(rollback)``.
    policy: str | None
    verdict: Verdict
    source: Reference
    #: The image; with ``remove``, what the policy brought to the target.
    digest: Digest
    #: Where it goes, or would have gone; None when no policy matched.
    target: Reference | None
    rules: tuple[RuleFinding, ...]
    #: One sentence for people.
    reason: str
    #: How many transfers in a row led to this image, the commanded one included.
    hops: Count
    #: ``shadow``: recorded only; nothing follows from it.
    mode: Mode = "enforce"
    #: How the image is to be copied; None when no policy matched.
    options: CopyOptions | None = None
    #: When the passing of time alone may make another verdict of a ``hold``.
    due_at: Instant | None = None
    #: Who asked for a manual promotion, or proposed a rollback.
    actor: Actor | None = None
    #: Who pushed the image that all this began with.
    pushed_by: Actor | None = None
