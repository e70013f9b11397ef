"""Listings: of what the log knows in a range of tags, what a repository does not list any more is gone from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas.envelope import Envelope
from schemas.events import TagsListed
from schemas.references import Frozen, Reference, Repository
from towline import limits
from towline.policy.agenda import NOTHING, Agenda
from towline.policy.arrival import attached_to
from towline.policy.arriving import forget
from towline.policy.state.lists import each_name
from towline.policy.state.tags import TagState, tags_list
from towline.policy.state.values import Draft, StateView, judged_tag_count

#: Pages of which more is gone than one event may note: ``{"pages": [...]}``. Ticks go on with them.
_WAITING_KEY: Final = "listings"


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of a listing, as :class:`schemas.events.TagsListed` tells it."""

    event_id: str
    time: str
    repository: str
    after: str | None
    until: str | None
    tags: list[str]


def take_listing(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Take a page of a listing into the state. What was updated since the listing is left as it is."""
    data = event.data
    if not isinstance(data, TagsListed):
        return NOTHING
    page = _Page(event.id, event.time, str(data.repository), data.after, data.until, list(data.tags))
    found = _note(draft, page)
    pages = _waiting(draft)
    if found >= judged_tag_count(draft) and page not in pages and len(pages) < limits.waiting_listing_count:
        _write(draft, [*pages, page])
    return Agenda(news="missed") if found and data.cause == "reconciliation" else NOTHING


def go_on(draft: Draft) -> None:
    """Note what is gone by the first of the pages that wait."""
    pages = _waiting(draft)
    if pages and _note(draft, pages[0]) < judged_tag_count(draft):
        _write(draft, pages[1:])


def is_waiting(state: StateView, repository: Repository) -> bool:
    """Tell whether it is known that more is gone from a repository than was noted."""
    return any(page.repository == str(repository) for page in _waiting(state))


def _note(draft: Draft, page: _Page) -> int:
    """Note what is gone, as much as one event may; return how much it was."""
    count, most = 0, judged_tag_count(draft)
    for reference, tag in _gone(draft, page):
        forget(draft, reference, tag, page.event_id, page.time)
        count += 1
        if count >= most:
            break
    return count


def _gone(draft: Draft, page: _Page) -> Iterator[tuple[Reference, TagState]]:
    repository, listed = Repository.parse(page.repository), frozenset(page.tags)
    for name in each_name(draft, tags_list(repository)):
        if name in listed or (page.after is not None and name <= page.after):
            continue
        if (page.until is not None and name > page.until) or attached_to(name) is not None:
            continue
        reference = Reference(repository, name)
        tag = TagState.read(draft, reference)
        if tag.digest is not None and tag.updated_at < page.time:
            yield reference, tag


def _waiting(state: StateView) -> list[_Page]:
    value = state.get(_WAITING_KEY)
    return [] if value is None else [_Page(**page) for page in value["pages"]]


def _write(draft: Draft, pages: list[_Page]) -> None:
    written = [{name: getattr(page, name) for name in _Page.__slots__} for page in pages]
    draft.put(_WAITING_KEY, {"pages": written} if written else None)
