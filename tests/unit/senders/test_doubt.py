"""What anybody may have said is a reason to look, and nothing more."""

import pytest

from schemas.events import ImageHinted
from tests.unit.dialects.deliveries import FIXTURES, distribution, distribution_event, fixture
from towline.dialects import DIALECTS, Translation, translate
from towline.errors import UnusableInputError
from towline.senders.doubt import as_hints


def test_a_push_and_a_deletion_of_a_tag_become_hints_without_digest_and_person() -> None:
    told = translate("distribution", fixture("distribution", "batch"), "local")
    doubted = as_hints(told)
    assert [hint.data for hint in doubted.hints] == [
        ImageHinted(repository=fact.data.repository, tag=fact.data.tag, occurred_at=fact.data.occurred_at)
        for fact in told.facts
    ]
    assert [hint.delivery_key for hint in doubted.hints] == [fact.delivery_key for fact in told.facts]
    assert (doubted.facts, doubted.notices) == ((), ())
    assert doubted.passed == told.passed


def test_a_deletion_of_a_digest_is_passed_over_with_the_reason() -> None:
    event = distribution_event(action="delete", target__tag=None, target__mediaType=None)
    doubted = as_hints(translate("distribution", distribution(event), "local"))
    assert doubted.hints == ()
    assert doubted.passed == ("local/dev/website: nobody vouches for who says that a digest was deleted",)


def test_the_end_of_a_scan_is_passed_over_with_the_reason() -> None:
    told = translate("ecr", fixture("ecr", "scan-completed"), "local")
    doubted = as_hints(told)
    assert len(told.notices) == 1
    assert doubted == Translation(passed=doubted.passed)
    assert "nobody vouches for who says that a scan ended" in doubted.passed[0]


def test_a_hint_loses_the_name_of_its_person() -> None:
    told = translate("dockerhub", fixture("dockerhub", "push"), "local")
    doubted = as_hints(told)
    assert [hint.data.tag for hint in doubted.hints] == [hint.data.tag for hint in told.hints]
    assert all(hint.data.actor is None for hint in doubted.hints)


def test_a_handshake_stays() -> None:
    told = translate("acr", fixture("acr", "event-grid-question"), "local")
    assert told.handshake is not None
    assert as_hints(told).handshake == told.handshake


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_no_fact_and_no_digest_is_left_of_any_dialect(dialect: str) -> None:
    told = 0
    for path in sorted((FIXTURES / dialect).glob("*.json")):
        try:
            translation = translate(dialect, fixture(dialect, path.stem), "local")
        except UnusableInputError:
            continue
        doubted = as_hints(translation)
        told += len(doubted.hints)
        assert not doubted.facts
        assert not doubted.notices
        assert "sha256" not in repr([hint.data for hint in doubted.hints])
        assert all(hint.data.actor is None for hint in doubted.hints)
    assert told > 0
