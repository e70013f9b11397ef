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
