"""What comes in, and what a dialect makes of it.

Most of it is tuples: each delivery makes several, and a frozen dataclass costs three times as much to make.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.events import ImageDeleted, ImageHinted, ImagePushed
from schemas.facts import ScanNoticed


class Delivery(NamedTuple):
    """One message of a sender, by HTTP or Kafka."""

    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str | None:
        """The content type in lower case, without parameters; None when there is none."""
        value = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return value or None


class Fact(NamedTuple):
    """One fact that a delivery tells."""

    data: ImagePushed | ImageDeleted
    #: The sender's own name for this fact: the same when it is delivered again. None: the sender gives nothing that
    #: tells a repetition from the same thing happening again.
    delivery_key: str | None


class Hint(NamedTuple):
    """A tag that is worth a look at its registry: its sender tells too little, or anybody could be the sender."""

    data: ImageHinted
    #: As that of a fact. Looking twice does no harm.
    delivery_key: str | None


class Notice(NamedTuple):
    """The end of a scan, whose report is to be fetched or submitted."""

    data: ScanNoticed
    #: As that of a fact.
    delivery_key: str | None


@dataclass(frozen=True, slots=True)
class Handshake:
    """A sender asks if its deliveries are wanted before it sends any; ``answer`` goes back with status 200."""

    #: What would be sent here, such as the topic's name.
    subject: str
    answer: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    #: The answer counts only when this address was fetched. Only after the sender was verified and ``subject`` is known
    #: to be ours: whoever may write to the hook could otherwise subscribe it to a topic of theirs. It is put together
    #: here from checked parts, never taken from the delivery.
    confirm_url: str | None = None


class Translation(NamedTuple):
    """Everything that a delivery tells."""

    facts: tuple[Fact, ...] = ()
    hints: tuple[Hint, ...] = ()
    notices: tuple[Notice, ...] = ()
    #: Given alone or not at all.
    handshake: Handshake | None = None
    #: Why the other parts of the delivery say nothing about a tag, one sentence each, with the path.
    passed: tuple[str, ...] = ()
    #: What was wrong but is no reason to lose the fact, one sentence each, with the path.
    flags: tuple[str, ...] = ()

    @property
    def passed_over(self) -> int:
        """How many parts of the delivery say nothing about a tag, such as pulls and blobs."""
        return len(self.passed)


Dialect = Callable[[Delivery, str | None], Translation]
"""Reads a delivery. The second argument is the name of the registry that the sender speaks for, if it is known.

Raises UnusableInputError when any part of the delivery cannot be used: then none of it is.
"""
