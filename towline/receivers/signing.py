"""Signatures of webhooks as in Standard Webhooks 1.0.0, symmetric: HMAC-SHA256 over ``ID.TIMESTAMP.BODY``."""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

#: What begins a secret that is written in base64; any other is taken as it is.
_PREFIX: Final = "whsec_"


def secret_key(text: str) -> bytes:
    """Return the key that a secret stands for: ``whsec_`` and base64, or any other text as its bytes.

    Raises:
        ValueError: it is empty, or what follows ``whsec_`` is not base64. The text does not have the secret.
    """
    if not text.startswith(_PREFIX):
        key = text.encode()
    else:
        try:
            key = b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError(f"what follows {_PREFIX} is not base64") from None
    if not key:
        raise ValueError("the secret is empty")
    return key


def signature_headers(webhook_id: str, timestamp: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """Return the headers that tell a receiver who sent ``body``, and when (seconds since 1970).

    A signature with each of the keys: a receiver that has any one of them can verify it. Without keys nothing is
    signed; the id, by which a receiver knows a repetition, is there always.
    """
    signed = b"%s.%d.%s" % (webhook_id.encode(), timestamp, body)
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp)}
    if keys:
        headers["webhook-signature"] = " ".join(
            f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in keys
        )
    return headers
