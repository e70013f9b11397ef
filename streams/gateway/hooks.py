"""``POST /hooks/{source}``: a registry or another sender tells what happened."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from http import HTTPStatus

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from schemas.instants import format_instant
from streams.gateway.answers import JsonAnswer, RefusedError, log_unavailable
from streams.gateway.body import check_declared, read_body
from streams.gateway.senders import Sender
from streams.log import EventLog
from streams.metrics import Metrics
from streams.routing import event_append
from towline.dialects import Delivery, Handshake, Translation, answer_options, translate
from towline.dialects.recording import events_of
from towline.errors import LogError, UnusableInputError
from towline.failpoints import Failpoints
from towline.senders.doubt import as_hints
from towline.senders.scheme import Head

#: Headers that may hold a secret: no dialect gets to see them.
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})

#: What an answer counts as.
_RESULTS: Mapping[int, str] = {
    HTTPStatus.ACCEPTED: "accepted",
    HTTPStatus.OK: "handshake",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.NOT_FOUND: "unknown",
    HTTPStatus.REQUEST_TIMEOUT: "incomplete",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large",
    HTTPStatus.TOO_MANY_REQUESTS: "too-many",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}

_log = structlog.get_logger(__name__)


class Hooks:
    """Takes deliveries, and answers 202 when their events are in the log.

    Limits are checked before the sender is, the sender before the body is read, as far as the head shows it. A sender
    that gets no 2xx sends again; its events then have the same ids.
    """

    def __init__(
        self,
        senders: Mapping[str, Sender],
        log: EventLog,
        clock: Callable[[], datetime],
        failpoints: Failpoints,
        metrics: Metrics,
    ) -> None:
        self._senders = senders
        self._log = log
        self._clock = clock
        self._failpoints = failpoints
        self._metrics = metrics

    async def receive(self, request: Request) -> Response:
        """Answer a delivery.

        Raises:
            RefusedError: any status but 202, and 200 for a handshake.
        """
        return await self._counted(request, self._deliver)

    async def answer_options(self, request: Request) -> Response:
        """Answer a sender that asks if its deliveries are wanted.

        Raises:
            RefusedError: 404 for a hook that does not exist, 400 when it does not say who asks.
        """
        return await self._counted(request, self._allow)

    async def _counted(
        self, request: Request, answer: Callable[[Request, str, Sender], Awaitable[Response]]
    ) -> Response:
        name = request.path_params["source"]
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR
        try:
            sender = self._senders.get(name)
            # Another address than the hook's is not there, whether or not there is a hook of that name.
            if sender is None or ("secret" in request.path_params and sender.hook.path is None):
                raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such hook in the settings")
            answered = await answer(request, name, sender)
            status = answered.status_code
        except RefusedError as error:
            status = error.status
            raise
        finally:
            self._metrics.delivered(name, _RESULTS.get(status, "failed" if status >= 500 else "unusable"))
        return answered

    async def _deliver(self, request: Request, name: str, sender: Sender) -> Response:
        check_declared(request)
        head = self._head(request)
        await sender.admit(head)
        body = await read_body(request)
        sender.check(head, body)
        await self._failpoints.hit("gateway.body_read")
        translation = _translate(sender, request.headers, body)
        if translation.handshake is not None:
            return _answer_handshake(translation.handshake, name, sender)
        ids = await self._record(translation, f"towline/hooks/{name}")
        await self._failpoints.hit("gateway.events_acked")
        answer = {"events": ids, "passed_over": translation.passed_over, "flags": list(translation.flags)}
        return JsonAnswer(answer, status_code=HTTPStatus.ACCEPTED)

    async def _allow(self, request: Request, _: str, sender: Sender) -> Response:
        # Senders ask without their credentials; only a secret of the address is there, and has to be right.
        if sender.hook.path is not None:
            await sender.admit(self._head(request))
        try:
            handshake = answer_options(request.headers)
        except UnusableInputError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
        return Response(headers=dict(handshake.headers))

    def _head(self, request: Request) -> Head:
        return Head(request.headers.raw, request.path_params.get("secret"), self._clock().timestamp())

    async def _record(self, translation: Translation, source: str) -> list[str]:
        events = events_of(translation, source, format_instant(self._clock()))
        if not events:
            return []
        try:
            await self._log.append_all([event_append(event) for event in events])
        except LogError as error:
            if error.retryable:
                raise log_unavailable() from error
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the log refused; see /readyz") from error
        return [event.id for event in events]


def _translate(sender: Sender, headers: Headers, body: bytes) -> Translation:
    hook = sender.hook
    try:
        told = translate(hook.dialect, Delivery(_shown(headers, sender.scheme.secret_headers), body), hook.registry)
    except UnusableInputError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
    return told if hook.is_believed else as_hints(told)


def _shown(headers: Headers, secret: frozenset[str]) -> dict[str, str]:
    """Return what a dialect may see. What is there twice is one list, as RFC 9110, section 5.3, has it."""
    shown: dict[str, str] = {}
    for name, value in headers.items():
        if name not in _SECRET_HEADERS and name not in secret:
            shown[name] = f"{shown[name]}, {value}" if name in shown else value
    return shown


def _answer_handshake(handshake: Handshake, name: str, sender: Sender) -> Response:
    if handshake.confirm_url is None:
        return Response(handshake.answer, headers=dict(handshake.headers))
    # Whoever can write to the hook could subscribe it to a topic of theirs: a person decides.
    if not sender.hook.anonymous:
        _log.warning(
            "a topic asks to send: confirm it if it is yours",
            hook=name,
            topic=handshake.subject,
            url=handshake.confirm_url,
        )
    return JsonAnswer({"topic": handshake.subject, "confirm": handshake.confirm_url})
