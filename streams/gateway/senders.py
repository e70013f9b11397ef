"""Who may send to which hook, and how often."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from streams.gateway.answers import RefusedError
from streams.gateway.rates import Rate
from streams.gateway.signing_keys import KeysUnavailableError, SigningKeys, fetch_from
from towline import limits
from towline.errors import SettingsError
from towline.hook_settings import HookSettings, Secrets
from towline.net.egress.guard import Egress
from towline.receivers.signing import secret_key
from towline.senders.scheme import Head, Scheme
from towline.senders.secrets import Anybody, Basic, Bearer, SecretPath, StaticHeader
from towline.senders.signatures import HmacHeader, StandardWebhook
from towline.senders.tokens import IdentityToken
from towline.settings import read_credential

#: What an address carries as it is, and too long to be guessed.
_PATH_SECRET: Final = re.compile(r"[A-Za-z0-9._~-]{16,256}")


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of one hook."""

    hook: HookSettings
    scheme: Scheme
    rate: Rate

    async def admit(self, head: Head) -> None:
        """Let a sender pass who may be the one, as far as that shows before the body.

        Raises:
            RefusedError: 401, the same whatever was wrong; 503 when it cannot be known now.
        """
        try:
            admitted = await self.scheme.admits(head)
        except KeysUnavailableError:
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the keys of the token's issuer cannot be had; send it again",
                {"Retry-After": str(limits.hook_retry_after_seconds)},
            ) from None
        if not admitted:
            raise self._unauthorized()

    def check(self, head: Head, body: bytes) -> None:
        """Let a body pass that is the sender's, and within its rate.

        The rate comes last: a stranger cannot use it up.

        Raises:
            RefusedError: 401, as above; 429 when the sender comes too often.
        """
        if not self.scheme.vouches(head, body):
            raise self._unauthorized()
        wait_seconds = self.rate.take()
        if wait_seconds:
            raise RefusedError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"more than {self.hook.rate:g} deliveries a second; send it again later",
                {"Retry-After": str(wait_seconds)},
            )

    def _unauthorized(self) -> RefusedError:
        return RefusedError(HTTPStatus.UNAUTHORIZED, "unauthorized", {"WWW-Authenticate": self.scheme.challenge})


def senders_of(
    hooks: Mapping[str, HookSettings], egress: Egress, monotonic: Callable[[], float] = time.monotonic
) -> dict[str, Sender]:
    """Return the senders by the names of their hooks.

    Secrets are read now: a missing one is found at start, and no request waits for a file.

    Raises:
        SettingsError: a hook's credential cannot be read, or is none that can be used.
    """
    return {
        name: Sender(hook, _scheme(f"hooks.{name}", hook, egress, monotonic), Rate(hook.rate, monotonic))
        for name, hook in hooks.items()
    }


def _scheme(path: str, hook: HookSettings, egress: Egress, monotonic: Callable[[], float]) -> Scheme:
    if hook.token is not None:
        return Bearer(secrets_of(f"{path}.token", hook.token))
    if hook.basic is not None:
        return Basic(hook.basic.username, secrets_of(f"{path}.basic.password", hook.basic.password))
    if hook.header is not None:
        return StaticHeader(hook.header.name, secrets_of(f"{path}.header.value", hook.header.value))
    if hook.hmac is not None:
        return HmacHeader(*hook.signature_of(hook.hmac), secrets_of(f"{path}.hmac.secret", hook.hmac.secret))
    if hook.standard_webhooks is not None:
        keys = secrets_of(f"{path}.standard_webhooks", hook.standard_webhooks, secret_key)
        return StandardWebhook(keys, limits.hook_signature_age_seconds)
    if hook.oidc is not None:
        keys_of_issuer = SigningKeys(fetch_from(hook.oidc.keys_url, egress), monotonic)
        return IdentityToken(
            hook.oidc.issuer,
            hook.oidc.audience,
            hook.oidc.email,
            keys_of_issuer.key_of,
            limits.hook_token_leeway_seconds,
        )
    if hook.path is not None:
        return SecretPath(secrets_of(f"{path}.path", hook.path, _path_secret))
    return Anybody()


def secrets_of(path: str, references: Secrets, read: Callable[[str], bytes] = str.encode) -> list[bytes]:
    """Return the secrets that references name, read now.

    Raises:
        SettingsError: one is not there, empty, or none that can be used; the text has ``path`` and the reference.
    """
    found = []
    for reference in references:
        text = read_credential(reference)
        if not text:
            raise SettingsError(f"{path}: the credential {reference} is empty")
        try:
            found.append(read(text))
        except ValueError as error:
            raise SettingsError(f"{path}: the credential {reference}: {error}") from None
    return found


def _path_secret(text: str) -> bytes:
    if _PATH_SECRET.fullmatch(text) is None:
        raise ValueError("a secret in an address has 16 to 256 letters, digits and -._~")
    return text.encode()
