"""What only time changes: soak, age, updates and windows, by the ticks of the log's clock and by nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.envelope import Envelope
from schemas.events import ClockTicked
from schemas.instants import format_instant, parse_instant
from schemas.references import Frozen
from schemas.rules import Rule
from tests.support.builders import at, deleted, envelope, policy, published, pushed, rule_on, ticked
from tests.support.facts import approved, inspected, platform_image, scanned, vulnerability
from tests.unit.policy.playing import DEV, QA, TAG, Partition
from towline import limits
from towline.policy.rules import windows
from towline.policy.rules.windows import is_open, opens_at

MICROSECOND = timedelta(microseconds=1)


def tick(moment: str) -> Envelope[Frozen]:
    return envelope(ClockTicked(now=moment), subject="clock", key=f"tick {moment}", time=moment)


def before(moment: str) -> str:
    return format_instant(parse_instant(moment) - MICROSECOND)


def held(*rules: Rule, time: str | None = None) -> Partition:
    """Return a partition with one tag that these rules hold back."""
    partition = Partition(published(policy("p", DEV, QA, *rules)))
    assert partition.verdicts(pushed(TAG, "one", time=time)) == ["hold"]
    return partition


@pytest.mark.parametrize(
    ("field", "operator", "value", "due"),
    [
        ("soak", ">=", "1h", at(3600)),
        ("soak", ">", "1h", "2026-11-24T09:00:00.000001Z"),
        ("soak", ">=", "1d1us", "2026-11-25T08:00:00.000001Z"),
        ("updated_at_duration", "before", "72h", "2026-11-27T08:00:00.000001Z"),
    ],
)
def test_a_tick_releases_what_waits_at_its_moment_and_not_a_microsecond_before(
    field: str, operator: str, value: str, due: str
) -> None:
    partition = held(rule_on(field, operator, value))
    assert partition.take(tick(before(due))) == []
    (decision,) = partition.take(tick(due))
    assert (decision.verdict, decision.due_at) == ("promote", None)
    assert len(partition.copies) == 1
    assert partition.take(tick("2027-01-01T00:00:00.000000Z")) == []


def test_a_hold_says_when_time_alone_decides_and_nothing_when_a_fact_is_missing_too() -> None:
    soak, signed = rule_on("soak", ">=", "1h"), rule_on("approved", ">=", "1")
    for rules, due in (((soak,), at(3600)), ((soak, signed), None), ((signed,), None)):
        partition = Partition(published(policy("p", DEV, QA, *rules)))
        (decision,) = partition.take(pushed(TAG, "one"))
        assert decision.due_at == due
        assert partition.verdicts(ticked(3600)) == (["promote"] if due else [])


def test_what_waits_for_a_fact_and_for_time_is_released_by_the_later_of_both() -> None:
    partition = held(rule_on("soak", ">=", "1h"), rule_on("approved", ">=", "1"))
    assert partition.verdicts(approved(DEV, "one", "p", "ann", time=at(60))) == ["hold"]
    assert partition.verdicts(ticked(3600)) == ["promote"]
    partition = held(rule_on("soak", ">=", "1h"), rule_on("approved", ">=", "1"))
    assert partition.verdicts(ticked(7200), approved(DEV, "one", "p", "ann", time=at(7201))) == ["promote"]


def test_the_latest_of_several_rules_on_time_is_waited_for_and_one_that_fails_ends_it() -> None:
    partition = held(rule_on("soak", ">=", "1h"), rule_on("soak", ">=", "2h"))
    assert partition.verdicts(ticked(3600), ticked(7199)) == []
    assert partition.verdicts(ticked(7200)) == ["promote"]
    window = rule_on("window", "inside", "Tue 08:00-09:00", "2026-11-24T10:00/2026-11-24T10:01")
    partition = held(rule_on("soak", ">=", "90m"), window)
    assert partition.verdicts(ticked(5400)) == ["hold"], "the window closed meanwhile"
    assert partition.verdicts(ticked(7200)) == ["promote"], "it opened again"


def test_an_image_that_comes_back_soaks_since_its_digest_was_first_seen() -> None:
    partition = held(rule_on("soak", ">=", "1h"))
    partition.take(pushed(TAG, "two", time=at(600)))
    assert partition.verdicts(pushed(TAG, "one", key="back", time=at(1200)), ticked(3600)) == ["hold", "promote"]


def test_an_update_that_is_repeated_waits_anew() -> None:
    partition = held(rule_on("updated_at_duration", "before", "1h"))
    partition.take(pushed(TAG, "one", key="again", time=at(600)))
    assert partition.verdicts(ticked(3601)) == ["hold"]
    assert partition.verdicts(ticked(4201)) == ["promote"]


def test_what_was_moved_or_deleted_is_not_released() -> None:
    for leave in (deleted(TAG), pushed(TAG, "two", time=at(1))):
        partition = held(rule_on("soak", ">=", "1h"))
        partition.take(leave)
        assert partition.take(ticked(3600)) == []


def test_age_counts_from_the_building_of_the_youngest_platform() -> None:
    old, young = (platform_image(f"linux/{name}", name, created=at(age)) for name, age in (("a", -7200), ("b", -60)))
    partition = Partition(published(policy("p", DEV, QA, rule_on("age", ">=", "1h"))))
    assert partition.verdicts(pushed(TAG, "one"), inspected(DEV, "one", old, young)) == ["hold", "hold"]
    assert partition.take(ticked(3539)) == []
    assert partition.verdicts(ticked(3540)) == ["promote"]


def test_a_denial_stays_whatever_time_passes() -> None:
    soak, clean = rule_on("soak", ">=", "1h"), rule_on("vulnerability_all", "=", "0")
    partition = held(soak, clean)
    bad = scanned(DEV, "one", vulnerability("CVE-1")), inspected(DEV, "one")
    assert partition.verdicts(*bad)[-1] == "deny"
    assert partition.take(ticked(3600)) == []


def test_a_tick_releases_a_bounded_number_and_the_next_ones_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "judged_tag_count", 2)
    partition = Partition(published(policy("p", DEV, QA, rule_on("soak", ">=", "1h"), initial_evaluation=False)))
    tags = [f"{DEV}:{number}" for number in range(5)]
    partition.take(*(pushed(tag, "one", time=at(number)) for number, tag in enumerate(tags)))
    released = [[str(made.source) for made in partition.take(ticked(3600 + more))] for more in (30, 60, 90, 120)]
    assert released == [tags[:2], tags[2:4], tags[4:], []]


# Clocks there go forward at 02:00 on 2027-03-28 and back at 03:00 on 2026-10-25, both at 01:00 UTC.
BERLIN = [
    ("inside", ["Mon-Fri 09:00-17:00"], "2026-10-23T15:00", "2026-10-26T08:00"),
    ("inside", ["Mon-Fri 09:00-17:00"], "2027-03-26T16:00", "2027-03-29T07:00"),
    ("inside", ["Sun 02:30-05:00"], "2027-03-27T12:00", "2027-03-28T01:00"),
    ("inside", ["Sun 02:30-05:00"], "2026-10-24T12:00", "2026-10-25T00:30"),
    ("inside", ["Sun 02:30-05:00"], "2026-10-25T01:10", "2026-10-25T01:30"),
    ("outside", ["Sun 02:00-03:00"], "2026-10-25T00:10", "2026-10-25T02:00"),
    ("outside", ["Sun 01:30-02:30"], "2027-03-28T00:40", "2027-03-28T01:00"),
    ("inside", ["22:00-06:00"], "2026-10-24T12:00", "2026-10-24T20:00"),
    ("outside", ["2026-12-20/2027-01-02"], "2026-12-24T00:00", "2027-01-02T23:00"),
    ("outside", ["2026-12-20/2027-01-02", "2027-01-03/2027-01-03"], "2026-12-24T00:00", "2027-01-03T23:00"),
    ("outside", ["Mon-Fri", "2026-12-19/2027-01-20"], "2026-12-22T00:00", "2027-01-22T23:00"),
    ("outside", ["Mon-Fri", "2026-12-19/2027-01-20", "2028-01-01/2028-01-01"], "2026-12-22T00:00", "2027-01-22T23:00"),
    ("inside", ["Fri 22:00-Mon 06:00"], "2026-11-26T12:00", "2026-11-27T21:00"),
    ("inside", ["2026-01-01/2026-01-02"], "2026-11-24T00:00", None),
    ("outside", ["Mon-Sun"], "2026-11-24T00:00", None),
    ("outside", ["Mon-Fri", "Fri 12:00-Mon 01:00", "2026-11-01/2026-12-01"], "2026-11-24T00:00", None),
    ("outside", ["Mon-Fri", "Sat 01:00-Mon 01:00"], "2026-11-24T00:00", "2026-11-27T23:00"),
    ("inside", ["Sat", "2026-11-25/2026-11-25"], "2026-11-24T00:00", "2026-11-24T23:00"),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "values", "now", "opens"), BERLIN)
def test_a_window_opens_at_the_first_moment_that_its_clocks_allow(
    operator: str, values: list[str], now: str, opens: str | None
) -> None:
    closed = datetime.fromisoformat(now).replace(tzinfo=UTC)
    given = (operator, tuple(values), "Europe/Berlin")
    assert not is_open(*given, closed)
    expected = None if opens is None else datetime.fromisoformat(opens).replace(tzinfo=UTC)
    assert opens_at(*given, closed) == expected
    if expected is not None:
        minutes = range(min((expected - closed) // timedelta(minutes=1), 10_000))
        assert not any(is_open(*given, closed + timedelta(minutes=minute)) for minute in minutes)
        assert is_open(*given, expected)


def test_a_rule_that_never_opens_is_known_without_going_through_its_freezes(monkeypatch: pytest.MonkeyPatch) -> None:
    freezes = [f"{year}-{month:02}-01/{year}-{month:02}-05" for year in range(2027, 2068) for month in range(1, 13)]
    looked: list[datetime] = []

    def look(operator: str, values: tuple[str, ...], timezone: str, moment: datetime) -> bool:
        looked.append(moment)
        return is_open(operator, values, timezone, moment)

    monkeypatch.setattr(windows, "is_open", look)
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert opens_at("outside", ("Mon-Sun", *freezes), "Europe/Berlin", now) is None
    assert looked == []
    assert opens_at("outside", ("Mon-Fri", *freezes), "Europe/Berlin", now) is not None
    assert len(looked) < 100, "it is found before the first freeze"


def test_a_window_opens_and_a_freeze_ends_by_a_tick() -> None:
    freeze = rule_on("window", "outside", "2026-11-23/2026-11-25", timezone="Europe/Berlin")
    office = rule_on("window", "inside", "Mon-Fri 09:00-17:00", timezone="Europe/Berlin")
    partition = held(freeze, office, time="2026-11-24T20:00:00.000000Z")
    assert partition.take(tick("2026-11-25T22:59:59.999999Z")) == []
    (still,) = partition.take(tick("2026-11-25T23:00:00.000000Z"))
    assert (still.verdict, still.due_at) == ("hold", "2026-11-26T08:00:00.000000Z"), "it is night"
    assert partition.verdicts(tick("2026-11-26T08:00:00.000000Z")) == ["promote"]


def test_what_waits_for_the_same_moment_costs_the_same_whatever_waits_already() -> None:
    partition = Partition(
        published(policy("p", DEV, QA, rule_on("window", "inside", "Sat"), rule_on("size", ">", "0")))
    )
    sizes = []
    for number in range(200):
        partition.take(inspected(DEV, f"{number}"), pushed(f"{DEV}:{number:03}", f"{number}"))
        assert partition.step is not None
        sizes.append(max(len(str(change.value)) for change in partition.step.changes))
    assert max(sizes[100:]) == max(sizes[:100]), "one page is written, not all that wait"
    saturday = tick("2026-11-28T00:00:00.000000Z")
    assert len(partition.take(saturday)) == 200
    assert not any(key.startswith("timers") for key in partition.state.values), "nothing is left behind"


def test_what_a_tick_came_too_early_for_is_looked_at_with_the_next() -> None:
    partition = held(rule_on("soak", ">=", "1h"))
    early = envelope(ClockTicked(now=at(3600)), subject="clock", key="early", time=at(3599))
    assert partition.verdicts(early) == ["hold"], "the moment of a decision is when its event was recorded"
    assert partition.verdicts(ticked(3630)) == ["promote"]


def test_a_hold_that_is_decided_again_is_released_once_and_waits_once() -> None:
    partition = held(rule_on("soak", ">=", "1h"), rule_on("vulnerability_all", ">=", "0"))
    partition.take(inspected(DEV, "one"), *(scanned(DEV, "one", key=str(number)) for number in range(5)))
    waiting = [value for key, value in partition.state.values.items() if key.startswith("timers") and "page" in key]
    assert [value["names"] for value in waiting] == [[TAG]]
    assert partition.verdicts(ticked(3600)) == ["promote"]
