"""Sending a signed webhook to a receiver of the settings, once."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self

from towline import limits
from towline.errors import SettingsError
from towline.net.egress.client import GuardedClient, NoReplyError, Reply
from towline.net.egress.errors import EgressRefusedError
from towline.net.egress.guard import Egress
from towline.net.retry_after import retry_after_seconds
from towline.receivers.signing import secret_key, signature_headers
from towline.settings import ReceiverSettings, read_credential

Clock = Callable[[], float]
"""Returns seconds since 1970."""

Cause = Literal[
    "delivered", "gone", "refused", "redirected", "rate-limited", "unreachable", "egress-refused", "misconfigured"
]
"""What became of an attempt. ``refused`` is any other answer; ``misconfigured``: the settings have no such receiver, or
not what it needs."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of sending once."""

    cause: Cause
    #: For people. No text of the receiver's is in it, no secret, and no address that is one.
    detail: str
    #: The answer's; there always is one when it is ``delivered`` or ``gone``.
    status_code: int | None = None
    #: How long the receiver asks to be left alone.
    retry_after_seconds: float | None = None
    #: What the receiver answered, its beginning.
    body: bytes = b""


class Receivers:
    """The receivers of the settings. Leaving it closes its connections.

    Addresses and secrets that are references are read with each attempt, so that a file with a new one needs no start.
    """

    def __init__(self, receivers: Mapping[str, ReceiverSettings], egress: Egress, *, clock: Clock = time.time) -> None:
        self._receivers = receivers
        self._egress = egress
        self._clock = clock
        #: Of each receiver its own: a slow one takes no connection from others.
        self._clients: dict[str, GuardedClient] = {}

    async def send(self, name: str, webhook_id: str, content_type: str, body: bytes) -> Attempt:
        """Send ``body`` to the receiver of this name; every failure is an attempt that tells of it."""
        try:
            url, keys = self._address_and_keys(name)
            client = self._client(name)
        except SettingsError as error:
            return Attempt("misconfigured", str(error))
        signed = signature_headers(webhook_id, int(self._clock()), body, keys)
        try:
            reply = await client.post(
                url, body, {"content-type": content_type, **signed}, reply_bytes=limits.reply_bytes
            )
        except EgressRefusedError as error:
            return Attempt("egress-refused", str(error))
        except NoReplyError as error:
            return Attempt("unreachable", self._without_address(name, error))
        return _judged(reply, datetime.fromtimestamp(self._clock(), UTC))

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _address_and_keys(self, name: str) -> tuple[str, list[bytes]]:
        receiver = self._receivers.get(name)
        if receiver is None:
            raise SettingsError(f"the settings have no receiver {name}")
        keys = []
        for reference in receiver.secrets:
            try:
                keys.append(secret_key(read_credential(reference)))
            except ValueError as error:
                raise SettingsError(f"receivers.{name}: credential {reference}: {error}") from None
        return receiver.url or read_credential(receiver.url_from or ""), keys

    def _client(self, name: str) -> GuardedClient:
        if name not in self._clients:
            self._clients[name] = GuardedClient(self._egress, ca_file=self._receivers[name].ca_file)
        return self._clients[name]

    def _without_address(self, name: str, error: NoReplyError) -> str:
        cause = error.__cause__
        late = isinstance(cause, TimeoutError)
        what = f"no answer within {limits.request_deadline_seconds:g} seconds" if late else type(cause).__name__
        return f"receiver {name}: {what}"


def _judged(reply: Reply, now: datetime) -> Attempt:
    status = reply.status
    asked = None
    if 200 <= status < 300:
        cause: Cause = "delivered"
    elif status == HTTPStatus.GONE:
        cause = "gone"
    elif 300 <= status < 400:
        cause = "redirected"
    else:
        cause = "rate-limited" if status == HTTPStatus.TOO_MANY_REQUESTS else "refused"
        asked = retry_after_seconds(reply.headers.get("retry-after"), now, limits.webhook_retry_after_seconds)
    return Attempt(cause, f"the receiver answered {status}", status, asked, reply.body)
