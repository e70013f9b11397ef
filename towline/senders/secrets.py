"""Senders that repeat a secret with each delivery; and those that have none."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from towline.senders.scheme import Head, SecretSet

_AUTHORIZATION: Final = "authorization"


def credentials(head: Head, scheme: bytes) -> bytes | None:
    """Return what follows ``scheme`` in ``Authorization``; None when there is no such thing."""
    value = head.only(_AUTHORIZATION)
    if value is None:
        return None
    given, _, rest = value.partition(b" ")
    return rest if given.lower() == scheme else None


class _ByHead:
    """What the head shows is all that there is to see."""

    secret_headers: frozenset[str] = frozenset()
    challenge = "Webhook"

    def vouches(self, head: Head, body: bytes) -> bool:  # noqa: ARG002 - the body proves nothing
        """See Scheme."""
        return True


class Bearer(_ByHead):
    """``Authorization: Bearer SECRET`` (RFC 6750)."""

    challenge = "Bearer"

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = SecretSet(secrets)

    async def admits(self, head: Head) -> bool:
        """See Scheme."""
        return self._secrets.has(credentials(head, b"bearer") or b"")


class Basic(_ByHead):
    """``Authorization: Basic``, user name and password in base64 (RFC 7617)."""

    challenge = 'Basic realm="towline", charset="UTF-8"'

    def __init__(self, username: str, passwords: Sequence[bytes]) -> None:
        self._pairs = SecretSet([b"%s:%s" % (username.encode(), password) for password in passwords])

    async def admits(self, head: Head) -> bool:
        """See Scheme."""
        try:
            given = base64.b64decode(credentials(head, b"basic") or b"", validate=True)
        except binascii.Error:
            given = b""
        return self._pairs.has(given)


class StaticHeader(_ByHead):
    """A header of any name, with a secret as its whole value."""

    def __init__(self, name: str, secrets: Sequence[bytes]) -> None:
        self._name = name
        self._secrets = SecretSet(secrets)
        self.secret_headers = frozenset({name.lower()})

    async def admits(self, head: Head) -> bool:
        """See Scheme."""
        return self._secrets.has(head.only(self._name) or b"")


class SecretPath(_ByHead):
    """A secret at the end of the address."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = SecretSet(secrets)

    async def admits(self, head: Head) -> bool:
        """See Scheme."""
        return self._secrets.has((head.path or "").encode("utf-8", "surrogatepass"))


class Anybody(_ByHead):
    """Nobody proves anything."""

    async def admits(self, head: Head) -> bool:  # noqa: ARG002 - whatever it is
        """See Scheme."""
        return True
