"""Checkpoints: signed commitments over the decisions of one partition."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.references import Count, Frozen

Hash = Annotated[str, StringConstraints(pattern=r"^[a-f0-9]{64}$")]
"""A SHA-256 in lower-case hex digits."""

Signature = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{86}==$")]
"""An Ed25519 signature in base64."""


class Checkpoint(Frozen):
    """A signed commitment to everything that a partition of the decisions held, from its first record on.

    It says which records there are, in which order; `docs/audit.md` has what exactly is hashed and signed. Records
    that were written twice count twice, as they stand in the topic. The envelope's time is that of the last record,
    and its id the SHA-256 of the text that is signed.
    """

    topic: Literal["towline.decisions"]
    partition: Count
    #: How many checkpoints of the partition come before this one.
    number: Count
    #: The id of the one before it; None for the first.
    previous: Hash | None
    #: How many records the tree has, those of the checkpoints before it included.
    size: Annotated[int, Field(ge=1, le=2**53 - 1)]
    #: The root of the tree (RFC 6962).
    root: Hash
    #: Where the last of them stands in this topic, to find them. A copy of the topic may have other offsets.
    last_offset: Count
    #: The leaf hashes of the records that no checkpoint before it has, so that each of them is checked by itself.
    leaves: Annotated[tuple[Hash, ...], Field(min_length=1)]
    #: Who signed: the SHA-256 of the raw public key.
    key_id: Hash
    signature_base64: Signature
