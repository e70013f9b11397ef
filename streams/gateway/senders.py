"""Who may send to which hook."""

import hashlib
import hmac
from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers

from streams.gateway.answers import RefusedError
from towline.errors import SettingsError
from towline.settings import HookSettings, read_credential


class Senders:
    """The tokens of the hooks, read once at start: a missing credential is found then, and no request waits for a file.

    Raises:
        SettingsError: a hook's credential cannot be read, or is empty.
    """

    def __init__(self, hooks: Mapping[str, HookSettings]) -> None:
        self._expected = {name: _hashed_token(name, hook) for name, hook in hooks.items() if hook.token is not None}

    def check(self, hook: str, headers: Headers) -> None:
        """Let a sender pass who gave the hook's static bearer token, or any sender when the hook has none.

        Raises:
            RefusedError: 401, the same whatever was wrong.
        """
        expected = self._expected.get(hook)
        if expected is None:
            return
        given = headers.getlist("authorization")
        scheme, _, token = given[0].partition(" ") if given else ("", "", "")
        # Hashes have equal lengths, so that the comparison does not even tell the token's.
        matches = hmac.compare_digest(hashlib.sha256(token.encode("latin-1", "replace")).digest(), expected)
        if not (matches and scheme.lower() == "bearer" and len(given) == 1):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "unauthorized", {"WWW-Authenticate": "Bearer"})


def _hashed_token(name: str, hook: HookSettings) -> bytes:
    token = read_credential(hook.token or "")
    if not token:
        raise SettingsError(f"hooks.{name}.token: the credential {hook.token} is empty")
    return hashlib.sha256(token.encode()).digest()
