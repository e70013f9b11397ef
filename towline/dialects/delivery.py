"""What comes in, and what a dialect makes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.events import ImageDeleted, ImagePushed


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of a sender, by HTTP or Kafka."""

    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str | None:
        """The content type in lower case, without parameters; None when there is none."""
        value = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return value or None


@dataclass(frozen=True, slots=True)
class Hint:
    """One fact that a delivery tells."""

    data: ImagePushed | ImageDeleted
    #: The sender's own name for this fact: the same when it is delivered again.
    delivery_key: str


@dataclass(frozen=True, slots=True)
class Translation:
    """Everything that a delivery tells."""

    hints: tuple[Hint, ...]
    #: How many facts of the delivery say nothing about a tag, such as pulls and blobs.
    passed_over: int = 0
    #: What was wrong but is no reason to lose the fact, one sentence each, with the path.
    flags: tuple[str, ...] = ()


Dialect = Callable[[Delivery, str | None], Translation]
"""Reads a delivery. The second argument is the name of the registry that the sender speaks for, if it is known.

Raises UnusableInputError when any part of the delivery cannot be used: then none of it is.
"""
