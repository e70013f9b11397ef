"""Commands: imperatives, carried out by the agents that own the topic."""

from typing import Any, Literal

from schemas.patterns import SourcePattern
from schemas.policies import CopyOptions
from schemas.references import Actor, Count, Digest, Frozen, Reference, Repository


class CopyImage(Frozen):
    """Make the target tag point to this digest, with everything under it."""

    decision_id: str
    policy: str
    source: Reference
    digest: Digest
    target: Reference
    hops: Count
    options: CopyOptions = CopyOptions()
    #: Who pushed the image that all this began with.
    pushed_by: Actor | None = None

    def outcome_members(self, command_id: str) -> dict[str, Any]:
        """Return what every outcome of this command tells of it; see :class:`schemas.outcomes.Outcome`."""
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


class InspectImage(Frozen):
    """Find out what a digest consists of, and which configured keys signed it."""

    #: The event that made it necessary.
    event_id: str
    repository: Repository
    digest: Digest


PollCause = Literal["initial-evaluation", "interval", "manual"]
"""A policy is new or changed, it is time again, or a person wants it now."""


class PollRepository(Frozen):
    """Find out which digest each tag of the source has."""

    #: The event that made it necessary.
    event_id: str
    source: SourcePattern
    cause: PollCause


CommandData = CopyImage | InspectImage | PollRepository
