"""``POST /hooks/{source}``: a registry or another sender tells what happened."""

from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.instants import format_instant
from streams.gateway.answers import RefusedError, log_unavailable
from streams.gateway.body import check_declared, read_body
from streams.gateway.senders import Senders
from streams.log import EventLog
from streams.routing import event_append
from towline.dialects import Delivery, Translation, translate
from towline.dialects.recording import events_of
from towline.errors import LogError, UnusableInputError
from towline.failpoints import Failpoints
from towline.settings import HookSettings

#: Headers that may hold a secret: no dialect gets to see them.
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})


class Hooks:
    """Takes deliveries, and answers 202 when their events are in the log.

    Limits are checked before the sender is, the sender before the body is read. A sender that gets no 2xx sends again;
    its events then have the same ids.
    """

    def __init__(
        self,
        hooks: Mapping[str, HookSettings],
        log: EventLog,
        clock: Callable[[], datetime],
        failpoints: Failpoints,
    ) -> None:
        self._hooks = hooks
        self._senders = Senders(hooks)
        self._log = log
        self._clock = clock
        self._failpoints = failpoints

    async def receive(self, request: Request) -> Response:
        """Answer a delivery.

        Raises:
            RefusedError: any status but 202.
        """
        name = request.path_params["source"]
        hook = self._hooks.get(name)
        if hook is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such hook in the settings")
        check_declared(request)
        self._senders.check(name, request.headers)
        body = await read_body(request)
        await self._failpoints.hit("gateway.body_read")
        translation = _translate(hook, request, body)
        ids = await self._record(translation, f"towline/hooks/{name}")
        await self._failpoints.hit("gateway.events_acked")
        answer = {"events": ids, "passed_over": translation.passed_over, "flags": list(translation.flags)}
        return JSONResponse(answer, status_code=HTTPStatus.ACCEPTED)

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


def _translate(hook: HookSettings, request: Request, body: bytes) -> Translation:
    headers = {name: value for name, value in request.headers.items() if name not in _SECRET_HEADERS}
    try:
        return translate(hook.dialect, Delivery(headers, body), hook.registry)
    except UnusableInputError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
