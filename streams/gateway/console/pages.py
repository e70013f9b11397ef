"""How the console's pages are made, and the headers that all of them have."""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from streams.gateway.console.wording import options_of, rule_text
from streams.printable import printable

_PACKAGE: Final = "streams.gateway.console"

#: ``Referrer-Policy`` is not ``no-referrer``: with that one browsers send ``Origin: null`` with our own forms, by which
#: they could not be told from those of others. To other sites nothing is told either way.
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(
    template: str,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    reader: str | None = None,
    **values: Any,
) -> Response:
    """Return a page; ``reader`` is who is logged in. No value of it can be markup."""
    text = _environment().get_template(template).render(reader=reader, **values)
    return HTMLResponse(text, status_code=status, headers={**HEADERS, **(headers or {})})


async def stylesheet(_: Request) -> Response:
    """Answer with the one stylesheet."""
    return Response(_style(), media_type="text/css", headers=HEADERS)


def path_of(text: str) -> str:
    """Return a tag or digest as it stands in a path."""
    return quote(text, safe="/:@")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"path": path_of, "rule": rule_text, "options": options_of}
    return environment


@cache
def _style() -> bytes:
    return files(_PACKAGE).joinpath("console.css").read_bytes()


def _shown(value: Any) -> Any:
    # What templates put together themselves is markup already; its parts came by here.
    return value if isinstance(value, Markup) else printable(value)
