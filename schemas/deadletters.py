"""Dead letters: input that could not be used, why, and its bytes; and which of them were sent again."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from schemas.references import Actor, Count, Frozen


class DeadLetter(Frozen):
    """An input that was set aside. Nothing is lost: the bytes are here, or their digest when they were too many."""

    topic: str
    partition: Count
    offset: Count
    reason: str
    key_base64: str | None
    value_base64: str | None
    value_sha256: str
    value_size: Count


class InputRequeued(Frozen):
    """A dead letter was sent through once more: it is not to be sent again."""

    letter_id: Annotated[str, StringConstraints(pattern=r"^[a-f0-9]{64}$")]
    actor: Actor
    #: ``delivery``: its own bytes. ``hints``: its registry was asked what the tags have now, as they may have moved.
    sent: Literal["delivery", "hints"]
