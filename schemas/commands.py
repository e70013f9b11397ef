"""Commands: imperatives, carried out by the agents that own the topic."""

from schemas.references import Count, Digest, Frozen, Reference


class CopyImage(Frozen):
    """Make the target tag point to this digest, with everything under it."""

    decision_id: str
    policy: str
    source: Reference
    digest: Digest
    target: Reference
    hops: Count


CommandData = CopyImage
