"""What every report on a command about a target tells: which command, and for what."""

from schemas.references import Actor, Count, Digest, Frozen, Reference


class Report(Frozen):
    """Which command it is about, and what that was for."""

    command_id: str
    decision_id: str
    policy: str
    source: Reference
    target: Reference
    digest: Digest
    #: How many transfers in a row led here, this one included.
    hops: Count
    #: Who pushed the image that all this began with.
    pushed_by: Actor | None = None


class Outcome(Report):
    """How a command ended. Its id derives from the command alone, so a command has one outcome by id."""

    #: What the target tag pointed to before, if it was there.
    previous_digest: Digest | None = None


class Arrived(Outcome):
    """How a command to copy ended that did not fail."""

    #: What the target tag has instead of the commanded digest: the index of the wanted platforms only, for a registry
    #: that takes no index without all that it names. Signatures of the whole index do not fit it, and stay behind.
    reduced_digest: Digest | None = None

    @property
    def arrived_digest(self) -> str:
        """What the target tag has."""
        return self.reduced_digest or self.digest
