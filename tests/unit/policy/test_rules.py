"""How findings combine, and how they are told."""

import pytest

from schemas.decisions import RuleFinding
from towline.policy.rules.find import combine, describe_finding, due_at
from towline.policy.rules.found import Found
from towline.policy.rules.spans import parse_moment, parse_size, parse_span

EARLY, LATE = "2026-11-24T08:00:00.000000Z", "2026-11-25T08:00:00.000000Z"


def test_one_rule_that_fails_decides_over_those_that_wait_and_those_over_what_holds() -> None:
    assert combine(()) == "holds"
    assert combine(("holds", "holds")) == "holds"
    assert combine(("holds", "waits")) == "waits"
    assert combine(("waits", "fails", "holds")) == "fails"


def test_time_alone_decides_when_the_last_waiting_rule_is_due_and_none_waits_for_a_fact() -> None:
    early, late, fact = (Found("waits", due_at=due) for due in (EARLY, LATE, None))
    assert due_at((late, early)) == LATE
    assert due_at((early, fact)) is None
    assert due_at((Found("holds"),)) is None
    assert due_at((Found("holds"), early)) == EARLY


def finding(**more: object) -> RuleFinding:
    given = {"field": "size", "operator": "<", "values": ("1GB", "2GB"), "actual": "5", "result": "holds"}
    return RuleFinding.model_validate({**given, **more})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (finding(), "size < 1GB, 2GB holds for 5"),
        (finding(result="fails", detail="too big"), "size < 1GB, 2GB fails for 5 (too big)"),
        (finding(result="fails", actual=None), "size < 1GB, 2GB fails for what is not known"),
        (finding(result="waits", detail="an inspection"), "size < 1GB, 2GB waits: an inspection"),
        (finding(field="label", name="team", values=("web",)), "label team < web holds for 5"),
    ],
)
def test_a_finding_is_told_as_a_person_would_say_it(given: RuleFinding, said: str) -> None:
    assert describe_finding(given) == said


def test_spans_and_sizes_have_units_and_fractions_are_exact() -> None:
    assert parse_span("1w2d3h4m5s6ms7us").total_seconds() == 788645.006007
    assert parse_span("0.1s") * 10 == parse_span("1s")
    assert parse_size("2 KiB") == 2048
    assert parse_size("2kB") == parse_size("2000") == 2000


@pytest.mark.parametrize("text", ["", "5", "1x", "h1", "1h ", "40000d"])
def test_what_is_no_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"span of time|century"):
        parse_span(text)


def test_a_size_without_a_known_unit_and_a_moment_without_a_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size("5 GiBit")
    with pytest.raises(ValueError, match="has no time zone"):
        parse_moment("2026-11-24T08:00:00")
