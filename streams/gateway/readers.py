"""Who may ask for what: each route has a role, and a route without one cannot be served."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from streams.gateway.answers import RefusedError
from streams.gateway.openapi import DOCUMENT_PATH
from streams.gateway.senders import secrets_of
from towline.hook_settings import Secrets
from towline.senders.scheme import Head, SecretSet
from towline.senders.secrets import credentials

Answer = Callable[[Request], Awaitable[Response]]
Role = Literal["sender", "reader", "anybody"]
"""``sender``: whoever the hook's settings name, see :mod:`streams.gateway.senders`. ``reader``: one of the settings."""

ROLES: Final[Mapping[str, Role]] = {
    "/hooks/{source}": "sender",
    "/hooks/{source}/{secret}": "sender",
    "/healthz": "anybody",
    "/readyz": "anybody",
    "/metrics": "anybody",
    DOCUMENT_PATH: "anybody",
    "/api/v1/trail": "reader",
    "/api/v1/decisions": "reader",
    "/api/v1/policies": "reader",
    "/api/v1/explain/{reference:path}": "reader",
    "/api/v1/lineage/{of:path}": "reader",
}


class Readers:
    """Those who may read. Each has a secret, or two while it is being replaced."""

    def __init__(self, secrets: Mapping[str, Sequence[bytes]]) -> None:
        self._secrets = {name: SecretSet(each) for name, each in secrets.items()}

    @classmethod
    def of(cls, readers: Mapping[str, Secrets]) -> "Readers":
        """Return the readers of the settings; their secrets are read now.

        Raises:
            SettingsError: a credential cannot be read, or is empty.
        """
        return cls({name: secrets_of(f"gateway.readers.{name}", given) for name, given in readers.items()})

    def require(self, request: Request) -> None:
        """Let a reader pass.

        Raises:
            RefusedError: 403 when there are no readers; 401, the same whatever was wrong.
        """
        if not self._secrets:
            raise RefusedError(
                HTTPStatus.FORBIDDEN, "nobody may read: name readers in the settings, under gateway.readers"
            )
        given = credentials(Head(request.headers.raw, None, 0.0), b"bearer") or b""
        # All are compared, so that the time does not tell which one came near.
        if not sum(each.has(given) for each in self._secrets.values()):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "unauthorized", {"WWW-Authenticate": "Bearer"})

    def guarded(self, path: str, answer: Answer) -> Answer:
        """Return an endpoint of a route for those whom its role lets pass.

        Raises:
            LookupError: the route has no role.
        """
        if path not in ROLES:
            raise LookupError(f"{path} has no role: say in ROLES who may ask it")
        if ROLES[path] != "reader":
            return answer

        async def guard(request: Request) -> Response:
            self.require(request)
            return await answer(request)

        return guard
