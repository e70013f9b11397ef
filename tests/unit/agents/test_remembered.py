"""What an observer remembers: bounded, and nothing rather than something wrong."""

import pytest

from agents.polling import Page, pages
from agents.remembered import Remembered
from schemas.references import Repository
from towline import limits

A, B, C = (Repository.parse(f"local/dev/{name}") for name in "abc")


def tags(*names: str) -> dict[str, str]:
    return {name: f"digest of {name}" for name in names}


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> Remembered:
    # Two repositories of two tags, each with one place for itself.
    monkeypatch.setattr(limits, "remembered_tag_count", 6)
    return Remembered()


def test_what_was_recorded_last_is_known(remembered: Remembered) -> None:
    remembered.remember(A, tags("1", "2"))
    remembered.remember(A, tags("1"))
    remembered.remember(B, {})
    assert (remembered.get(A), remembered.get(B), remembered.get(C)) == (tags("1"), {}, None)


def test_the_repository_that_was_asked_longest_ago_makes_room(remembered: Remembered) -> None:
    remembered.remember(A, tags("1", "2"))
    remembered.remember(B, tags("1", "2"))
    remembered.get(A)
    remembered.remember(C, tags("1", "2"))
    assert (remembered.get(A), remembered.get(B), remembered.get(C)) == (tags("1", "2"), None, tags("1", "2"))


def test_repositories_without_tags_take_room_too(remembered: Remembered) -> None:
    repositories = [Repository.parse(f"local/dev/{number}") for number in range(10)]
    for repository in repositories:
        remembered.remember(repository, {})
    assert [remembered.get(repository) for repository in repositories] == [None] * 4 + [{}] * 6


def test_a_repository_beyond_all_room_is_not_remembered_and_makes_none(remembered: Remembered) -> None:
    remembered.remember(A, tags("1"))
    remembered.remember(B, tags("1"))
    remembered.remember(B, tags("1", "2", "3", "4", "5", "6"))
    assert (remembered.get(A), remembered.get(B)) == (tags("1"), None)


def test_what_is_forgotten_leaves_its_room(remembered: Remembered) -> None:
    for _ in range(10):
        remembered.remember(A, tags("1", "2"))
        remembered.forget(A)
        remembered.forget(A)
        assert remembered.get(A) is None
    remembered.remember(A, tags("1", "2"))
    remembered.remember(B, tags("1", "2"))
    assert (remembered.get(A), remembered.get(B)) == (tags("1", "2"), tags("1", "2"))
    remembered.forget_all()
    assert (remembered.get(A), remembered.get(B)) == (None, None)
    remembered.remember(A, tags("1", "2"))
    remembered.remember(B, tags("1", "2"))
    assert remembered.get(A) == tags("1", "2")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 7])
def test_pages_have_every_tag_once_and_every_name_there_is_in_one_range(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "judged_tag_count", 3)
    names = [f"v{number}" for number in range(count)]
    found = pages(names)
    assert [tag for page in found for tag in page.tags] == names
    assert (found[0].after, found[-1].until) == (None, None)
    assert [page.until for page in found[:-1]] == [page.after for page in found[1:]]
    assert all(1 <= len(page.tags) <= 3 for page in found) or found == [Page(None, None, ())]
    for name in [*names, "", "a", "v", "v00", "v22", "z"]:
        assert [page.has_any([name]) for page in found].count(True) == (name != ""), name


def test_a_page_has_one_of_several_tags_in_its_range() -> None:
    page = Page("b", "d", ("d",))
    assert [page.has_any(gone) for gone in (["a", "b"], ["a", "c"], ["b", "d"], ["a", "e"], ["e"], [])] == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]


def test_what_a_single_tag_was_recorded_to_have_is_known_with_the_others(remembered: Remembered) -> None:
    given = tags("1", "2")
    remembered.remember(A, given)
    remembered.note(A, "1", "moved")
    remembered.note(A, "2", None)
    remembered.note(A, "never", None)
    assert remembered.get(A) == {"1": "moved"}
    assert given == tags("1", "2")
    remembered.note(B, "1", "one")
    assert remembered.get(B) is None, "what else it has is not known"


def test_single_tags_take_room_and_leave_it(remembered: Remembered) -> None:
    remembered.remember(A, tags("1"))
    remembered.remember(B, tags("1", "2"))
    remembered.note(A, "2", "two")
    assert remembered.get(A) == {"1": "digest of 1", "2": "two"}
    remembered.note(A, "3", "three")
    assert (remembered.get(A), remembered.get(B)) == ({**tags("1"), "2": "two", "3": "three"}, None)
    for name in ("1", "2", "3"):
        remembered.note(A, name, None)
    remembered.remember(B, tags("1", "2", "3", "4"))
    assert (remembered.get(A), remembered.get(B)) == ({}, tags("1", "2", "3", "4"))
