"""``/api/v1``: the questions of the audit commands, over HTTP. Every answer says how far the log was read for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from starlette.requests import Request
from starlette.responses import Response

from schemas.decisions import Decision
from streams.audit.trail import entry_of
from streams.gateway.answers import JsonAnswer
from streams.gateway.questions import Questions, no_parameters
from streams.topics import DECISIONS

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


class Api:
    """Answers readers in JSON."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    async def trail(self, request: Request) -> Response:
        """Answer with a page of records.

        Raises:
            RefusedError: 400 for a parameter that cannot be used, 503 while the read side is away.
        """
        page, as_of = await self._questions.page(request.query_params.multi_items())
        return _answer(as_of, trail=[entry_of(item) for item in page.records], cursor=page.cursor)

    async def decisions(self, request: Request) -> Response:
        """Answer with a page of decisions; see :meth:`trail`."""
        page, as_of = await self._questions.page(request.query_params.multi_items(), DECISIONS)
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
        return _answer(as_of, decisions=decided, cursor=page.cursor)

    async def explain(self, request: Request) -> Response:
        """Answer with the explanation of a tag; see :meth:`trail`."""
        no_parameters(request)
        explanation, as_of = await self._questions.explain(request.path_params["reference"])
        return _answer(as_of, explanation=explanation)

    async def lineage(self, request: Request) -> Response:
        """Answer with the lineage of a digest, or the origin of a tag; see :meth:`trail`."""
        no_parameters(request)
        descent, as_of = await self._questions.descent(request.path_params["of"])
        return _answer(as_of, lineage=descent.lineage, origin=descent.origin)

    async def policies(self, request: Request) -> Response:
        """Answer with the policies in force; see :meth:`trail`."""
        no_parameters(request)
        in_force, as_of = await self._questions.policies()
        return _answer(as_of, in_force=in_force)


def _answer(as_of: Mapping[str, list[int]], **members: object) -> Response:
    return JsonAnswer({"as_of": as_of, **members}, headers=_HEADERS)
