"""Senders that show a token which their platform signed for us (OpenID Connect, as Google's Pub/Sub does)."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import jwt

from towline.senders.scheme import Head
from towline.senders.secrets import credentials

KeyOf = Callable[[str], Awaitable[jwt.PyJWK | None]]
"""Returns the issuer's key of that id, None when it has none. Raises InfrastructureError when that cannot be known."""

#: Signatures of one public key each. A symmetric one would make the published key a secret that everybody knows.
_ALGORITHMS: Final = ("RS256", "ES256")

#: Real ones have about a kilobyte.
_TOKEN_BYTES: Final = 8192


class IdentityToken:
    """``Authorization: Bearer TOKEN``, where the token says who sends, and to whom.

    ``leeway_seconds`` is how far the issuer's clock may be from ours. The token does not speak of the body: TLS does.
    """

    secret_headers: frozenset[str] = frozenset()
    challenge = "Bearer"

    def __init__(self, issuer: str, audience: str, email: str, key_of: KeyOf, leeway_seconds: float) -> None:
        self._issuer = issuer
        self._audience = audience
        self._email = email
        self._key_of = key_of
        self._leeway_seconds = leeway_seconds

    async def admits(self, head: Head) -> bool:
        """See Scheme."""
        token = credentials(head, b"bearer") or b""
        key_id = _key_id(token)
        if key_id is None:
            return False
        key = await self._key_of(key_id)
        return key is not None and self._is_ours(self._claims(token, key))

    def vouches(self, head: Head, body: bytes) -> bool:  # noqa: ARG002 - the token is not about the body
        """See Scheme."""
        return True

    def _claims(self, token: bytes, key: jwt.PyJWK) -> dict[str, Any]:
        """Return what the token says; nothing unless it is signed, in time, of the issuer and for us."""
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=list(_ALGORITHMS),
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway_seconds,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
        # A key of another kind than the algorithm's is a TypeError in places.
        except (jwt.PyJWTError, TypeError, ValueError):
            return {}

    def _is_ours(self, claims: dict[str, Any]) -> bool:
        return claims.get("email") == self._email and claims.get("email_verified") is True


def _key_id(token: bytes) -> str | None:
    """Return which key a token names; None when it is none of the kind that is taken."""
    if len(token) > _TOKEN_BYTES:
        return None
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        return None
    key_id = header.get("kid")
    fits = header.get("alg") in _ALGORITHMS
    return key_id if fits and isinstance(key_id, str) and key_id else None
