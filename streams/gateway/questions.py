"""What readers ask, the same for programs and for people. Every answer comes with how far the log was read for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, cast

from starlette.requests import Request

from schemas.events import PolicyPublished
from schemas.policies import Policy
from schemas.references import Reference
from streams.audit.explain import Explanation, explain
from streams.audit.lineage import Lineage, lineage
from streams.audit.origin import Origin, origin
from streams.gateway.answers import RefusedError
from streams.gateway.following import AsOf, Follower
from streams.projection.asking import FILTERS, digest, filter_of
from streams.projection.paging import Filter, Order, Page, read_page
from streams.projection.records import Records
from towline import limits
from towline.errors import MisuseError

#: What a page is asked for with, beside its filters.
PAGING: Final = ("limit", "order", "cursor")


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


class Questions:
    """Asks the projection.

    All raise RefusedError: 400 for what cannot be used, 403 without a read side, 503 while it is away.
    """

    def __init__(self, follower: Follower | None) -> None:
        self._follower = follower

    async def page(self, parameters: Iterable[tuple[str, str]], topic: str | None = None) -> AsOf[Page]:
        """Return a page of records; ``topic`` leaves out those of the others.

        Raises:
            RefusedError: see the class.
        """
        given = _parameters(parameters, (*FILTERS, *PAGING))
        try:
            limit, order = _limit(given.pop("limit", None)), _order(given.pop("order", None))
            cursor = given.pop("cursor", None)
            wanted: Filter = filter_of(given, topic=topic)
            return await self._reading.ask(read_page, wanted, limit, order=order, cursor=cursor)
        except MisuseError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, _shown(str(error))) from None

    async def explain(self, text: str) -> AsOf[Explanation]:
        """Return the explanation of a tag.

        Raises:
            RefusedError: see the class.
        """
        return await self._reading.ask(explain, reference_of(text))

    async def descent(self, text: str) -> AsOf[Descent]:
        """Return the lineage of a digest, or the origin of a tag.

        Raises:
            RefusedError: see the class.
        """
        if is_digest(text):
            tree, as_of = await self._reading.ask(lineage, digest_of(text))
            return AsOf(Descent(lineage=tree), as_of)
        back, as_of = await self._reading.ask(origin, reference_of(text))
        return AsOf(Descent(origin=back), as_of)

    async def policies(self) -> AsOf[Policies]:
        """Return the policies in force.

        Raises:
            RefusedError: see the class.
        """
        return await self._reading.ask(_policies)

    @property
    def _reading(self) -> Follower:
        if self._follower is None:
            raise RefusedError(HTTPStatus.FORBIDDEN, "nobody may read: this gateway keeps no read side")
        return self._follower


def is_digest(text: str) -> bool:
    """Tell whether a text means to be a digest, and no tag."""
    return text.startswith(("sha256:", "sha512:"))


def digest_of(text: str) -> str:
    """Return a text that is a digest.

    Raises:
        RefusedError: 400, it is none.
    """
    try:
        return digest(text)
    except MisuseError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, _shown(f"of: {error}")) from None


def reference_of(text: str) -> Reference:
    """Return what a text names.

    Raises:
        RefusedError: 400, it is no REGISTRY/REPOSITORY:TAG.
    """
    try:
        return Reference.parse(text)
    except ValueError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, _shown(str(error))) from None


def no_parameters(request: Request) -> None:
    """Let a question pass that has none.

    Raises:
        RefusedError: 400, it has some.
    """
    _parameters(request.query_params.multi_items(), ())


def _policies(records: Records) -> Policies:
    kept = records.policies()
    if kept is None:
        return Policies(0, None, None, ())
    published = cast("PolicyPublished", kept.envelope.data)
    return Policies(published.revision, kept.envelope.time, published.actor, published.set.policies)


def _parameters(pairs: Iterable[tuple[str, str]], known: tuple[str, ...]) -> dict[str, str | None]:
    """Return what is asked for, each name once.

    Raises:
        RefusedError: 400 for a name that is unknown or there twice.
    """
    found: dict[str, str | None] = {}
    for name, value in pairs:
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


def _shown(text: str) -> str:
    """Return a reason that repeats what somebody sent: a line, and no more of it than helps."""
    line = "".join(char if char.isprintable() else "�" for char in text)
    return line if len(line) <= 500 else f"{line[:500]}..."
