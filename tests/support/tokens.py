"""A token service (distribution token specification) that grants what is asked to whom it knows."""

import base64
import json
import time
from collections.abc import Mapping
from uuid import uuid4

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send


class TokenService:
    """An ASGI app that answers ``GET /token``. ``asked`` has the scopes of each request, in order.

    ``users`` maps names to passwords; without any, tokens are given to anonymous clients as well. With ``key`` the
    tokens are RS256 web tokens that distribution 2.8 accepts, with ``thumbprint`` too distribution 3; without they are
    opaque texts. ``answer`` replaces members of the answer; None removes one.
    """

    def __init__(
        self,
        users: Mapping[str, str] | None = None,
        *,
        key: rsa.RSAPrivateKey | None = None,
        thumbprint: bool = False,
        issuer: str = "towline-tests",
        answer: Mapping[str, object] | None = None,
    ) -> None:
        self._users = dict(users or {})
        self._key = key
        self._key_id = _thumbprint if thumbprint else _fingerprint
        self._issuer = issuer
        self.answer = dict(answer or {})
        self.asked: list[list[str]] = []
        self.authorizations: list[str | None] = []
        self.given: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] in {"http", "lifespan"}
        if scope["type"] == "lifespan":
            return
        response = self._respond(Request(scope, receive))
        await response(scope, receive, send)

    def _respond(self, request: Request) -> Response:
        authorization = request.headers.get("authorization")
        self.authorizations.append(authorization)
        self.asked.append(request.query_params.getlist("scope"))
        user = self._user(authorization)
        if user is None and self._users:
            return JSONResponse({"errors": [{"code": "UNAUTHORIZED", "message": "who are you"}]}, status_code=401)
        token = self._token(user or "", request.query_params.get("service", ""), self.asked[-1])
        self.given.append(token)
        answer: dict[str, object] = {"token": token, "expires_in": 300, **self.answer}
        return JSONResponse({name: value for name, value in answer.items() if value is not None})

    def _user(self, authorization: str | None) -> str | None:
        if authorization is None or not authorization.startswith("Basic "):
            return None
        name, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
        return name if self._users.get(name) == password else None

    def _token(self, user: str, service: str, scopes: list[str]) -> str:
        if self._key is None:
            return uuid4().hex
        now = int(time.time())
        access = [
            {"type": kind, "name": name, "actions": actions.split(",")}
            for kind, name, actions in (scope.split(":") for scope in scopes)
        ]
        claims = {
            "iss": self._issuer,
            "sub": user,
            "aud": service,
            "exp": now + 300,
            "nbf": now - 60,
            "iat": now,
            "jti": uuid4().hex,
            "access": access,
        }
        signed = f"{_part({'typ': 'JWT', 'alg': 'RS256', 'kid': self._key_id(self._key)})}.{_part(claims)}"
        return f"{signed}.{_url64(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _fingerprint(key: rsa.RSAPrivateKey) -> str:
    """What distribution 2.8 calls a key: the first 240 bits, base32, in groups of four."""
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    text = base64.b32encode(digest.finalize()[:30]).decode().rstrip("=")
    return ":".join(text[at : at + 4] for at in range(0, len(text), 4))


def _thumbprint(key: rsa.RSAPrivateKey) -> str:
    """What distribution 3 calls a key (RFC 7638)."""
    numbers = key.public_key().public_numbers()
    members = {"e": _url64(_unsigned(numbers.e)), "kty": "RSA", "n": _url64(_unsigned(numbers.n))}
    digest = hashes.Hash(hashes.SHA256())
    digest.update(json.dumps(members, separators=(",", ":")).encode())
    return _url64(digest.finalize())


def _unsigned(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def _part(value: object) -> str:
    return _url64(json.dumps(value).encode())


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
