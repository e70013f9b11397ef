"""Polls: what the repositories of a source have is recorded where it is not what was recorded last.

Of each repository the log gets, in this order: an observation for each tag that is new or moved, pages of a listing
when tags may have vanished, and the completion with the sum over all that is there. Of an unchanged repository it gets
the completion alone. By the sum the evaluator finds that the log tells something else, and asks for all of it.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from agents.command_runner import Record
from agents.outcomes import end_id, known_now
from agents.remembered import Remembered
from schemas.canonical import content_id
from schemas.commands import PollRepository
from schemas.envelope import Envelope
from schemas.events import ImageObserved, PollCompleted, PollFailed, TagsListed
from schemas.instants import format_instant
from schemas.references import Frozen, Repository
from towline import limits
from towline.policy.contents import contents_of
from towline.registry import Attempts, Registries
from towline.registry.attempts import FailedError
from towline.registry.client import Named
from towline.registry.polling import Poll


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a command found in one repository."""

    command_id: str
    command: PollRepository
    repository: Repository
    #: What is pushed while it is asked is newer than what is seen, whichever of the two is in the log first.
    began_at: str
    found: Sequence[tuple[str, Named]]
    #: What was last recorded; None when all of it is to be recorded.
    known: Mapping[str, str] | None

    @property
    def digests(self) -> dict[str, str]:
        return {tag: named.digest for tag, named in self.found}


class Polling:
    """Carries out the commands to ask a source. Repeating one repeats the ids of its events."""

    def __init__(self, registries: Registries, attempts: Attempts, remembered: Remembered, source: str) -> None:
        self._poll = Poll(registries, attempts)
        self._source = source
        self._remembered = remembered

    async def carry_out(self, command_id: str, command: PollRepository, record: Record) -> Envelope[Frozen]:
        """Ask, record what is not recorded yet, and return the event that ends the command."""
        exact = command.source.repository
        try:
            if exact is not None:
                return await self._compare(command_id, command, exact, record, id_=end_id(command_id))
            tags = 0
            for repository in await self._poll.repositories(command.source):
                id_ = content_id(command_id, "polled", str(repository))
                done = await self._compare(command_id, command, repository, record, id_=id_)
                await record([done])
                tags += done.data.tags
        except FailedError as error:
            return self._end(
                command_id,
                PollFailed(
                    command_id=command_id,
                    source=command.source,
                    cause=error.failure.cause,
                    detail=error.failure.detail,
                    retryable=error.failure.retryable,
                    attempts=error.failure.attempts,
                ),
            )
        return self._end(
            command_id, PollCompleted(command_id=command_id, source=command.source, repository=None, tags=tags)
        )

    def _end(self, command_id: str, data: PollCompleted | PollFailed) -> Envelope[Frozen]:
        return known_now(data, id_=end_id(command_id), source=self._source, subject=str(data.source))

    async def _compare(
        self, command_id: str, command: PollRepository, repository: Repository, record: Record, *, id_: str
    ) -> Envelope[PollCompleted]:
        """Record what is not recorded yet of one repository; return its completion."""
        began_at = format_instant(datetime.now(UTC))
        known = None if command.is_complete else self._remembered.get(repository)
        found = await self._poll.tags(repository, known=known or {}, listed=command.source.repository is None)
        seen = _Seen(command_id, command, repository, began_at, found, known)
        # Whoever dies while recording leaves it open how much of it is in the log.
        self._remembered.forget(repository)
        await record([*self._observations(seen), *self._pages(seen)])
        self._remembered.remember(repository, seen.digests)
        completed = PollCompleted(
            command_id=command_id,
            source=command.source,
            repository=repository,
            tags=len(found),
            contents=contents_of(seen.digests),
        )
        # Dated to the beginning: what the log has from later than that, the sum need not have.
        return Envelope(id_, self._source, str(repository), began_at, completed)

    def _observations(self, seen: _Seen) -> Iterator[Envelope[Frozen]]:
        for tag, named in seen.found:
            if seen.known is not None and seen.known.get(tag) == named.digest:
                continue
            yield Envelope(
                # With the digest: a repetition that sees another one has seen something else.
                content_id(seen.command_id, "observation", str(seen.repository), tag, named.digest),
                self._source,
                f"{seen.repository}:{tag}",
                seen.began_at,
                ImageObserved(
                    repository=seen.repository,
                    tag=tag,
                    digest=named.digest,
                    media_type=named.media_type,
                    size=named.size,
                    command_id=seen.command_id,
                    cause=seen.command.cause,
                ),
            )

    def _pages(self, seen: _Seen) -> Iterator[Envelope[Frozen]]:
        tags = [tag for tag, _ in seen.found]
        vanished = None if seen.known is None else sorted(seen.known.keys() - tags)
        for page in pages(tags):
            if vanished is not None and not page.has_any(vanished):
                continue
            yield Envelope(
                # With the tags and where they end, for the same reason.
                content_id(
                    seen.command_id, "listing", str(seen.repository), page.after or "", page.until or "", *page.tags
                ),
                self._source,
                str(seen.repository),
                seen.began_at,
                TagsListed(
                    command_id=seen.command_id,
                    repository=seen.repository,
                    cause=seen.command.cause,
                    after=page.after,
                    until=page.until,
                    tags=page.tags,
                ),
            )


@dataclass(frozen=True, slots=True)
class Page:
    """Some tags of a listing, and the range of names that they are all of; None: open to that side."""

    after: str | None
    until: str | None
    tags: tuple[str, ...]

    def has_any(self, tags: Sequence[str]) -> bool:
        """Tell whether the range has one of some sorted tags in it, listed or not."""
        first = bisect_right(tags, self.after or "")
        return first < len(tags) and (self.until is None or tags[first] <= self.until)


def pages(tags: Sequence[str]) -> list[Page]:
    """Return the pages of a listing of sorted tags, up to ``limits.judged_tag_count`` of them in each.

    The ranges follow on each other and leave nothing out; so a repository without tags has a page too.
    """
    size, found, after = limits.judged_tag_count, list[Page](), None
    for start in range(0, max(len(tags), 1), size):
        listed = tuple(tags[start : start + size])
        until = listed[-1] if start + size < len(tags) else None
        found.append(Page(after, until, listed))
        after = until
    return found
