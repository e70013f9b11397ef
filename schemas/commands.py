"""Commands: imperatives, carried out by the agents that own the topic."""

from typing import Any, Literal

from schemas.patterns import SourcePattern
from schemas.policies import CopyOptions
from schemas.references import Actor, Count, Digest, Frozen, Reference, Repository, Tag
from schemas.webhooks import DeliverWebhook


class TargetCommand(Frozen):
    """What is common to the commands that change a target tag; of one tag the latest decision's counts."""

    decision_id: str
    policy: str
    source: Reference
    digest: Digest
    target: Reference
    hops: Count
    #: Who pushed the image that all this began with.
    pushed_by: Actor | None = None

    def outcome_members(self, command_id: str) -> dict[str, Any]:
        """Return what its outcome, and every other report on it, tells of it; see :class:`schemas.outcomes.Report`."""
        return {
            "command_id": command_id,
            "decision_id": self.decision_id,
            "policy": self.policy,
            "source": self.source,
            "target": self.target,
            "digest": self.digest,
            "hops": self.hops,
            "pushed_by": self.pushed_by,
        }


class CopyImage(TargetCommand):
    """Make the target tag point to this digest, with everything under it."""

    options: CopyOptions = CopyOptions()


class RemoveTag(TargetCommand):
    """Remove the target tag if it still has this digest: it vanished from the source, or is rolled back."""


class InspectImage(Frozen):
    """Find out what a digest consists of, and which configured keys signed it."""

    #: The event that made it necessary.
    event_id: str
    repository: Repository
    digest: Digest


class ResolveTag(Frozen):
    """Find out which digest one tag has, if it is there at all: somebody hinted at it."""

    #: The hint.
    event_id: str
    repository: Repository
    tag: Tag
    #: Who did what was hinted at, when the one who hinted can be known and says so.
    actor: Actor | None = None


PollCause = Literal["initial-evaluation", "interval", "manual", "reconciliation"]
"""A policy is new or changed, it is time again, a person wants it now, or the log is compared with what is there."""


class PollRepository(Frozen):
    """Find out which digest each tag of the source has."""

    #: The event that made it necessary.
    event_id: str
    source: SourcePattern
    cause: PollCause
    #: Record all that is there, not only what is new since the last poll.
    is_complete: bool = False


CommandData = CopyImage | RemoveTag | InspectImage | PollRepository | ResolveTag | DeliverWebhook
