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
Role = Literal["sender", "reader", "visitor", "anybody"]
"""``sender``: whoever the hook's settings name, see :mod:`streams.gateway.senders`. ``reader``: one of the settings.

``visitor``: a reader who logged in at the console, see :mod:`streams.gateway.console.entrance`.
"""

#: Those of the console, which is for people and no part of the OpenAPI document.
CONSOLE_ROLES: Final[Mapping[str, Role]] = {
    "/": "visitor",
    "/explain/{reference:path}": "visitor",
    "/lineage/{of:path}": "visitor",
    "/policies": "visitor",
    "/find": "visitor",
    "/login": "anybody",
    "/logout": "anybody",
    "/console.css": "anybody",
}

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
    **CONSOLE_ROLES,
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

    @property
    def names(self) -> tuple[str, ...]:
        """Who they are."""
        return tuple(self._secrets)

    def recognise(self, given: bytes) -> str | None:
        """Return whose secret was given; None: nobody's."""
        # All are compared, so that the time does not tell which one came near.
        found = [name for name, each in self._secrets.items() if each.has(given)]
        return found[0] if found else None

    def require(self, request: Request) -> None:
        """Let a reader pass.

        Raises:
            RefusedError: 403 when there are no readers; 401, the same whatever was wrong.
        """
        if not self._secrets:
            raise RefusedError(
                HTTPStatus.FORBIDDEN, "nobody may read: name readers in the settings, under gateway.readers"
            )
        if self.recognise(credentials(Head(request.headers.raw, None, 0.0), b"bearer") or b"") is None:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "unauthorized", {"WWW-Authenticate": "Bearer"})

    def guarded(self, path: str, answer: Answer, visit: Callable[[Answer], Answer]) -> Answer:
        """Return an endpoint of a route for those whom its role lets pass; ``visit`` is what lets visitors pass.

        Raises:
            LookupError: the route has no role.
        """
        if path not in ROLES:
            raise LookupError(f"{path} has no role: say in ROLES who may ask it")
        if ROLES[path] == "visitor":
            return visit(answer)
        if ROLES[path] != "reader":
            return answer

        async def guard(request: Request) -> Response:
            self.require(request)
            return await answer(request)

        return guard
