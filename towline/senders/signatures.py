"""Senders that sign the bytes of each body with a secret that they share with us.

Signed is what arrived, never what a parser made of it: the same JSON, written otherwise, is another body.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Final, Literal

from towline.senders.scheme import Head, is_among


class HmacHeader:
    """The HMAC of the body in a header, in hexadecimal, bare or after the algorithm's name (GitHub, JFrog, Nexus).

    There is no moment in it: a recorded delivery can be sent again, and has the same ids.
    """

    challenge = "Webhook"

    def __init__(self, header: str, algorithm: Literal["sha256", "sha1"], secrets: Sequence[bytes]) -> None:
        self._header = header
        self._algorithm = algorithm
        self._secrets = tuple(secrets)
        size = 64 if algorithm == "sha256" else 40
        self._form = re.compile(rb"(?:%s=)?([0-9a-f]{%d})" % (algorithm.encode(), size))
        self.secret_headers = frozenset({header.lower()})

    async def admits(self, head: Head) -> bool:
        """See Scheme."""
        return self._given(head) is not None

    def vouches(self, head: Head, body: bytes) -> bool:
        """See Scheme."""
        given = self._given(head) or b""
        made = [hmac.digest(secret, body, self._algorithm).hex().encode() for secret in self._secrets]
        return is_among(given, made)

    def _given(self, head: Head) -> bytes | None:
        found = self._form.fullmatch(head.only(self._header) or b"")
        return found[1] if found else None


#: An id without a dot, which could move the border between id, moment and body; then a moment in whole seconds.
_ID: Final = re.compile(rb"[!-\-/-~]{1,256}")
_TIMESTAMP: Final = re.compile(rb"[0-9]{1,12}")

#: Signatures that are looked at: one for each secret of a sender, and some of other kinds.
_SIGNATURE_COUNT: Final = 8


class StandardWebhook:
    """Standard Webhooks 1.0.0, symmetric: HMAC-SHA256 over ``ID.TIMESTAMP.BODY``
    (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).

    ``tolerance_seconds`` is how far the sender's clock may be from ours, either way.
    """

    secret_headers = frozenset({"webhook-signature"})
    challenge = "Webhook"

    def __init__(self, keys: Sequence[bytes], tolerance_seconds: float) -> None:
        self._keys = tuple(keys)
        self._tolerance_seconds = tolerance_seconds

    async def admits(self, head: Head) -> bool:
        """See Scheme."""
        name, moment, signatures = self._parts(head)
        if not (_ID.fullmatch(name) and _TIMESTAMP.fullmatch(moment) and signatures):
            return False
        return abs(head.now - int(moment)) <= self._tolerance_seconds

    def vouches(self, head: Head, body: bytes) -> bool:
        """See Scheme."""
        name, moment, signatures = self._parts(head)
        signed = b"%s.%s.%s" % (name, moment, body)
        made = [b"v1," + b64encode(hmac.digest(key, signed, "sha256")) for key in self._keys]
        return sum(is_among(given, made) for given in signatures) > 0

    def _parts(self, head: Head) -> tuple[bytes, bytes, list[bytes]]:
        given = (head.only("webhook-signature") or b"").split(b" ")
        versioned = [one for one in given[:_SIGNATURE_COUNT] if one.startswith(b"v1,")]
        return head.only("webhook-id") or b"", head.only("webhook-timestamp") or b"", versioned
