"""Lists of names, kept in pages: one more name costs the same whatever came before."""

from collections.abc import Iterator
from typing import Final

from towline.policy.state.values import Draft, StateView

#: Names on one page: a page is written whole, and read whole when all names are gone through.
PAGE_COUNT: Final = 64


def count_names(state: StateView, name: str) -> int:
    """Return how many names a list has."""
    value = state.get(name)
    return 0 if value is None else int(value["count"])


def left_names(state: StateView, name: str) -> int:
    """Return how many names of a list were not taken."""
    value = state.get(name)
    return 0 if value is None else int(value["count"]) - int(value.get("taken", 0))


def each_name(state: StateView, name: str) -> Iterator[str]:
    """Yield all names of a list of which none is ever taken, page by page."""
    for number in range(0, count_names(state, name), PAGE_COUNT):
        yield from (state.get(_page_key(name, number)) or {"names": ()})["names"]


def name_at(state: StateView, name: str, number: int) -> str:
    """Return a name of a list by its number, which never changes."""
    page = state.get(_page_key(name, number))
    if page is None:
        raise LookupError(f"the list {name!r} has no page for number {number}")
    return str(page["names"][number % PAGE_COUNT])


def append_name(draft: Draft, name: str, entry: str) -> None:
    """Add a name to a list."""
    count = count_names(draft, name)
    page = draft.get(_page_key(name, count)) or {"names": []}
    draft.put(_page_key(name, count), {"names": [*page["names"], entry]})
    draft.put(name, {**(draft.get(name) or {}), "count": count + 1})


def take_names(draft: Draft, name: str, count: int) -> list[str]:
    """Remove and return up to ``count`` names, the oldest first; a list without names is gone."""
    value = draft.get(name)
    if value is None:
        return []
    first, total = int(value.get("taken", 0)), int(value["count"])
    last = min(first + max(count, 0), total)
    taken = [name_at(draft, name, number) for number in range(first, last)]
    for number in range(first, last):
        if (number + 1) % PAGE_COUNT == 0 or number + 1 == total:
            draft.put(_page_key(name, number), None)
    draft.put(name, None if last == total else {"count": total, "taken": last})
    return taken


def _page_key(name: str, number: int) -> str:
    return f"{name} page {number // PAGE_COUNT}"
