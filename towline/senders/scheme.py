"""What all ways of verifying a sender have in common."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol


class Head(NamedTuple):
    """What a request says before its body."""

    #: Names in lower case. A name may be there more than once.
    headers: Sequence[tuple[bytes, bytes]]
    #: What follows the hook's name in the address.
    path: str | None
    #: Seconds since 1970.
    now: float

    def only(self, name: str) -> bytes | None:
        """Return the value of a header that is there exactly once: of two, others may have read the other one."""
        wanted = name.lower().encode()
        values = [value for given, value in self.headers if given == wanted]
        return values[0] if len(values) == 1 else None


class Scheme(Protocol):
    """A way to verify senders.

    All comparisons with secrets take the same time whatever is given, and no answer says what was wrong.
    """

    #: The names of headers, in lower case, that are nobody else's to see.
    secret_headers: frozenset[str]
    #: What ``WWW-Authenticate`` tells a sender that was refused.
    challenge: str

    async def admits(self, head: Head) -> bool:
        """Tell, before the body is read, if the sender may be the one; no: it is not.

        Raises:
            InfrastructureError: it cannot be known now.
        """
        ...

    def vouches(self, head: Head, body: bytes) -> bool:
        """Tell if the sender that was admitted sent this body."""
        ...


class SecretSet:
    """One secret, or two while it is being replaced."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        # Hashes have equal lengths, so that a comparison does not even tell that of the secret. No secret is empty, so
        # that what was not given can be compared as the empty one.
        self._hashed = [hashlib.sha256(secret).digest() for secret in secrets]

    def has(self, given: bytes) -> bool:
        """Tell if ``given`` is one of them."""
        return is_among(hashlib.sha256(given).digest(), self._hashed)


def is_among(given: bytes, expected: Iterable[bytes]) -> bool:
    """Tell if ``given`` is one of ``expected``; all are compared, whichever it is, each in constant time."""
    return sum(hmac.compare_digest(given, one) for one in expected) > 0
