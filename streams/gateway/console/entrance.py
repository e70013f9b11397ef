"""Logging in and out: a reader's token for a cookie, which is good for the pages of the console and nothing else."""

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from streams.gateway.answers import RefusedError
from streams.gateway.body import check_declared, read_body
from streams.gateway.console.pages import HEADERS, page
from streams.gateway.console.sessions import SESSION_SECONDS, Sessions
from streams.gateway.readers import Answer, Readers

COOKIE: Final = "towline_session"
#: A form with a token and a page to go back to.
FORM_BYTES: Final = 16 * 1024

_FORM: Final = "application/x-www-form-urlencoded"
#: The pages to which somebody comes back after logging in: paths of this console, never an address.
_OWN_PAGE: Final = re.compile(r"/(\?[\w.~:/%&=+*@,-]*)?|/policies|/(explain|lineage)/[\w.~:/%@-]+", re.ASCII)
_OWN_PAGE_LENGTH: Final = 4096


class Entrance:
    """Lets readers in, and out again."""

    def __init__(self, readers: Readers, sessions: Sessions) -> None:
        self._readers = readers
        self._sessions = sessions

    def visit(self, answer: Answer) -> Answer:
        """Return an endpoint for those who are logged in; it finds the reader's name in ``request.state.reader``."""

        async def visited(request: Request) -> Response:
            if not self._readers.names:
                return _off()
            reader = self._sessions.reader_of(_session_id(request))
            if reader is None:
                return _form(_here(request))
            request.state.reader = reader
            try:
                return await answer(request)
            except RefusedError as error:
                return _refusal(error, reader)

        return visited

    async def login(self, request: Request) -> Response:
        """Begin a session for a reader's token, and lead back to the page that was wanted."""
        if not self._readers.names:
            return _off()
        try:
            form = await _read_form(request)
        except RefusedError as error:
            return _refusal(error, None)
        back = _own_page(form.get("next", ""))
        reader = self._readers.recognise(form.get("token", "").encode())
        if reader is None:
            return _form(back, is_refused=True)
        self._sessions.end(_session_id(request))
        answer = _go(back)
        answer.set_cookie(
            COOKIE,
            self._sessions.begin(reader),
            max_age=int(SESSION_SECONDS),
            path="/",
            # The browser says how it sees this page; what a proxy says of that is not looked at.
            secure=request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://"),
            httponly=True,
            samesite="strict",
        )
        return answer

    async def begin(self, _: Request) -> Response:
        """Lead whoever opens the address of the form to the first page, which has the form."""
        return _go("/")

    async def logout(self, request: Request) -> Response:
        """End the session."""
        try:
            _require_own_form(request)
        except RefusedError as error:
            return _refusal(error, None)
        self._sessions.end(_session_id(request))
        answer = _go("/")
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer


def _session_id(request: Request) -> str:
    return request.cookies.get(COOKIE, "")


async def _read_form(request: Request) -> dict[str, str]:
    _require_own_form(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send a form")
    check_declared(request, FORM_BYTES)
    body = await read_body(request, FORM_BYTES)
    try:
        return dict(parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=8))
    except ValueError:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the form has too many fields") from None


def _require_own_form(request: Request) -> None:
    """Let a form pass that a page of this console sent.

    Browsers say so themselves: by Fetch Metadata where they do, as no page can, and by ``Origin`` otherwise.

    Raises:
        RefusedError: 403.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "")
    is_own = origin.partition("://")[2] == request.headers.get("host", "/") if site is None else site == "same-origin"
    if not is_own:
        raise RefusedError(HTTPStatus.FORBIDDEN, "this form came from another site: open the console, and use its own")


def _here(request: Request) -> str:
    query = request.scope["query_string"].decode("ascii", "replace")
    return _own_page(quote(request.scope["path"], safe="/:@") + (f"?{query}" if query else ""))


def _own_page(text: str) -> str:
    return text if len(text) <= _OWN_PAGE_LENGTH and _OWN_PAGE.fullmatch(text) else "/"


def _go(path: str) -> Response:
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers=HEADERS)


def _off() -> Response:
    return page("off.html", status=HTTPStatus.FORBIDDEN)


def _form(back: str, *, is_refused: bool = False) -> Response:
    # The same for every token that is nobody's.
    return page(
        "login.html",
        status=HTTPStatus.UNAUTHORIZED,
        headers={"WWW-Authenticate": "Console"},
        back=back,
        is_refused=is_refused,
    )


def _refusal(error: RefusedError, reader: str | None) -> Response:
    return page("refused.html", status=error.status, headers=error.headers, reader=reader, reason=error.reason)
