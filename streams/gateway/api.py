"""``/api/v1``: the questions of the audit commands, over HTTP. Every answer says how far the log was read for it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, cast

from starlette.requests import Request
from starlette.responses import Response

from schemas.decisions import Decision
from schemas.events import PolicyPublished
from schemas.policies import Policy
from schemas.references import Reference
from streams.audit.explain import explain
from streams.audit.lineage import Lineage, lineage
from streams.audit.origin import Origin, origin
from streams.audit.trail import entry_of
from streams.gateway.answers import JsonAnswer, RefusedError
from streams.gateway.following import AsOf, Follower
from streams.projection.asking import FILTERS, digest, filter_of
from streams.projection.paging import Filter, Order, Page, read_page
from streams.projection.records import Records
from streams.topics import DECISIONS
from towline import limits
from towline.errors import MisuseError

_PAGING: Final = ("limit", "order", "cursor")
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as the log has it."""

    id: str
    time: str
    position: str
    #: How often it is in its topic.
    copies: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies in force."""

    #: 0 before the first publication.
    revision: int
    published_at: str | None
    published_by: str | None
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Descent:
    """Where an image came to, for a digest; from where a tag has what it has, for a tag."""

    lineage: Lineage | None = None
    origin: Origin | None = None


class Api:
    """Answers readers from the projection."""

    def __init__(self, follower: Follower | None) -> None:
        self._follower = follower

    async def trail(self, request: Request) -> Response:
        """Answer with a page of records.

        Raises:
            RefusedError: 400 for a parameter that cannot be used, 503 while the read side is away.
        """
        answer, page = await self._page(request)
        return _answer(answer, trail=[entry_of(item) for item in page.records], cursor=page.cursor)

    async def decisions(self, request: Request) -> Response:
        """Answer with a page of decisions; see :meth:`trail`."""
        answer, page = await self._page(request, DECISIONS)
        decided = [
            Decided(
                item.envelope.id,
                item.envelope.time,
                str(item.position),
                item.copies,
                cast("Decision", item.envelope.data),
            )
            for item in page.records
        ]
        return _answer(answer, decisions=decided, cursor=page.cursor)

    async def explain(self, request: Request) -> Response:
        """Answer with the explanation of a tag; see :meth:`trail`."""
        _parameters(request, ())
        answer = await self._reading.ask(explain, _reference(request.path_params["reference"]))
        return _answer(answer, explanation=answer.answer)

    async def lineage(self, request: Request) -> Response:
        """Answer with the lineage of a digest, or the origin of a tag; see :meth:`trail`."""
        _parameters(request, ())
        of = request.path_params["of"]
        if of.startswith(("sha256:", "sha512:")):
            answer = await self._reading.ask(lineage, _read("of", of))
            descent = Descent(lineage=cast("Lineage", answer.answer))
        else:
            answer = await self._reading.ask(origin, _reference(of))
            descent = Descent(origin=cast("Origin", answer.answer))
        return _answer(answer, lineage=descent.lineage, origin=descent.origin)

    async def policies(self, request: Request) -> Response:
        """Answer with the policies in force; see :meth:`trail`."""
        _parameters(request, ())
        answer = await self._reading.ask(_policies)
        return _answer(answer, in_force=answer.answer)

    @property
    def _reading(self) -> Follower:
        if self._follower is None:
            raise RefusedError(HTTPStatus.FORBIDDEN, "nobody may read: this gateway keeps no read side")
        return self._follower

    async def _page(self, request: Request, topic: str | None = None) -> tuple[AsOf, Page]:
        given = _parameters(request, (*FILTERS, *_PAGING))
        try:
            limit, order = _limit(given.pop("limit", None)), _order(given.pop("order", None))
            cursor = given.pop("cursor", None)
            wanted: Filter = filter_of(given, topic=topic)
            answer = await self._reading.ask(read_page, wanted, limit, order=order, cursor=cursor)
        except MisuseError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, _shown(str(error))) from None
        return answer, cast("Page", answer.answer)


def _policies(records: Records) -> Policies:
    kept = records.policies()
    if kept is None:
        return Policies(0, None, None, ())
    published = cast("PolicyPublished", kept.envelope.data)
    return Policies(published.revision, kept.envelope.time, published.actor, published.set.policies)


def _answer(of: AsOf, **members: object) -> Response:
    return JsonAnswer({"as_of": of.as_of, **members}, headers=_HEADERS)


def _parameters(request: Request, known: tuple[str, ...]) -> dict[str, str | None]:
    """Return what is asked for, each name once.

    Raises:
        RefusedError: 400 for a name that is unknown or there twice.
    """
    found: dict[str, str | None] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            told = ", ".join(known) or "none"
            raise RefusedError(
                HTTPStatus.BAD_REQUEST, _shown(f"{name!r}: there is no such parameter; there are: {told}")
            )
        if name in found:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"{name}: given twice")
        found[name] = value
    return found


def _limit(text: str | None) -> int:
    if text is None:
        return limits.page_count
    if not text.isascii() or not text.isdigit() or len(text) > 6 or not 1 <= int(text) <= limits.page_max_count:
        raise MisuseError(f"limit: write a number from 1 to {limits.page_max_count}")
    return int(text)


def _order(text: str | None) -> Order:
    if text not in {None, "newest", "oldest"}:
        raise MisuseError("order: write newest or oldest, for what comes first")
    return "oldest" if text == "oldest" else "newest"


def _reference(text: str) -> Reference:
    try:
        return Reference.parse(text)
    except ValueError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, _shown(str(error))) from None


def _read(name: str, text: str) -> str:
    try:
        return digest(text)
    except MisuseError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, _shown(f"{name}: {error}")) from None


def _shown(text: str) -> str:
    """Return a reason that repeats what somebody sent: a line, and no more of it than helps."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return line if len(line) <= 500 else f"{line[:500]}..."
