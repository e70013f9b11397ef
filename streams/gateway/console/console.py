"""The pages: what happened lately, why a tag is what it is, where an image came to, and the policies in force."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, get_args
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from schemas.decisions import Verdict
from streams.audit.trail import TrailEntry, entry_of
from streams.gateway.answers import RefusedError
from streams.gateway.console.pages import HEADERS, page, path_of
from streams.gateway.questions import Questions, digest_of, is_digest, no_parameters, reference_of
from streams.projection.rows import Kept, digests_in, references_in
from streams.transfers.transfer import Ended


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the form that filters."""

    name: str
    label: str
    hint: str = ""
    #: What can be chosen; none: any text.
    choices: tuple[str, ...] = ()


#: One for each of the filters of the read side, and the order.
FIELDS: Final = (
    Field("from", "From", "2026-11-24 or 2026-11-24T08:00Z"),
    Field("to", "Before", "2026-11-25"),
    Field("actor", "Actor"),
    Field("policy", "Policy"),
    Field("verdict", "Verdict", choices=get_args(Verdict)),
    Field("outcome", "Outcome", choices=get_args(Ended)),
    Field("type", "Type", "image.pushed"),
    Field("repository", "Repository", "local/dev/website or local/dev/*"),
    Field("reference", "Tag", "local/dev/website:1.0"),
    Field("digest", "Digest", "sha256:..."),
    Field("order", "First", choices=("newest", "oldest")),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A record of the trail, with what it is about, to go on from there."""

    entry: TrailEntry
    references: tuple[str, ...]
    digests: tuple[str, ...]


class Console:
    """Answers readers who are logged in, from the projection."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    async def lately(self, request: Request) -> Response:
        """Answer with a page of the trail, and with the form that filters it."""
        given = {name: value for name, value in request.query_params.multi_items() if value}
        values = {"fields": FIELDS, "given": given, "reader": request.state.reader}
        try:
            # Fields that were left empty are sent too.
            found, as_of = await self._questions.page(
                [(name, value) for name, value in request.query_params.multi_items() if value]
            )
        except RefusedError as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            return page("lately.html", status=error.status, reason=error.reason, lines=(), links={}, **values)
        lines = [_line(item) for item in found.records]
        links = _links(given, found.cursor)
        return page("lately.html", reason=None, lines=lines, links=links, as_of=as_of, **values)

    async def explain(self, request: Request) -> Response:
        """Answer with the explanation of a tag.

        Raises:
            RefusedError: 400 for what is no tag, 503 while the read side is away.
        """
        no_parameters(request)
        explanation, as_of = await self._questions.explain(request.path_params["reference"])
        return page("explain.html", reader=request.state.reader, explanation=explanation, as_of=as_of)

    async def lineage(self, request: Request) -> Response:
        """Answer with the lineage of a digest, or the origin of a tag.

        Raises:
            RefusedError: see :meth:`explain`.
        """
        no_parameters(request)
        descent, as_of = await self._questions.descent(request.path_params["of"])
        return page("lineage.html", reader=request.state.reader, descent=descent, as_of=as_of)

    async def policies(self, request: Request) -> Response:
        """Answer with the policies in force.

        Raises:
            RefusedError: see :meth:`explain`.
        """
        no_parameters(request)
        in_force, as_of = await self._questions.policies()
        return page("policies.html", reader=request.state.reader, in_force=in_force, as_of=as_of)

    async def find(self, request: Request) -> Response:
        """Lead to the page of a digest or a tag.

        Raises:
            RefusedError: 400 for what is neither.
        """
        text = request.query_params.get("of", "").strip()
        path = f"/lineage/{digest_of(text)}" if is_digest(text) else f"/explain/{path_of(str(reference_of(text)))}"
        return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers=HEADERS)


def _line(item: Kept) -> Line:
    return Line(entry_of(item), references_in(item.envelope.data), digests_in(item.envelope.data))


def _links(given: Mapping[str, str], cursor: str | None) -> dict[str, str]:
    """Return where the pages beside this one are, by the words of their links."""
    begin = {name: value for name, value in given.items() if name != "cursor"}
    links = {}
    if "cursor" in given:
        links["Back to the first page"] = f"/?{urlencode(begin)}"
    if cursor is not None:
        links["Next page"] = f"/?{urlencode({**begin, 'cursor': cursor})}"
    return links
