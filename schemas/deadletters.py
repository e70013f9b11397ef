"""Dead letters: input that could not be used, why, and its bytes."""

from schemas.references import Count, Frozen


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
