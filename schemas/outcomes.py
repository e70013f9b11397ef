"""What every outcome of a command tells: which command it ends, and for what."""

from schemas.references import Actor, Count, Digest, Frozen, Reference


class Outcome(Frozen):
    """How a transfer ended. Its id derives from the command alone, so a command has one outcome by id."""

    command_id: str
    decision_id: str
    policy: str
    source: Reference
    target: Reference
    digest: Digest
    #: What the target tag pointed to before, if it was there.
    previous_digest: Digest | None = None
    #: How many transfers in a row led here, this one included.
    hops: Count
    #: Who pushed the image that all this began with.
    pushed_by: Actor | None = None
