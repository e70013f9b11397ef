"""Every field and operator of the contract: when it holds, when it fails, what it waits for. Through whole steps."""

from collections.abc import Iterator
from typing import Any

import pytest

from schemas.decisions import RuleFinding
from schemas.envelope import Envelope
from schemas.references import Frozen
from schemas.rules import Rule
from tests.support.builders import at, policy, published, pushed, rule_on, ticked
from tests.support.facts import (
    approved,
    component,
    inspected,
    platform_image,
    sbom,
    scanned,
    signed,
    vulnerability,
)
from tests.support.rules import pairs
from towline.policy.step import MemoryState

REPOSITORY = "local/dev/app"
TAG = f"{REPOSITORY}:1.2.0-rc"
RESULTS = ("holds", "fails", "waits")

Row = tuple[Rule, tuple[Envelope[Frozen], ...], str]


#: Why some results cannot be, by field and operators.
IMPOSSIBLE = {
    ("tag", None, "waits"): "the tag is known with the push",
    ("signed-by", None, "fails"): "a signature may always come later",
    ("approved", None, "fails"): "an approval may always come later",
    ("updated_at", None, "waits"): "the push says when the tag was updated, and the moment is given",
    ("updated_at_duration", ("before",), "fails"): "time passes, and makes it hold",
    ("updated_at_duration", ("after",), "waits"): "time passes, and only makes it fail",
    ("soak", (">", ">="), "fails"): "time passes, and makes it hold",
    ("soak", ("<", "<="), "waits"): "time passes, and only makes it fail",
}


def impossible() -> set[tuple[str, str, str]]:
    return {
        (field, operator, result)
        for field, operator in pairs()
        for named, operators, result in IMPOSSIBLE
        if named == field and (operators is None or operator in operators)
    }


#: For each text operator: values that fit `1.2.0-rc`, and values that do not.
TEXTS = {
    "equals": ("1.2.0-rc", "1.2.0"),
    "starts-with": ("1.", "2"),
    "ends-with": ("-rc", "-stable"),
    "contains": ("0-r", "RC"),
    "one-of": ("1.2.0-rc", "1.2.0-r"),
    "not-one-of": ("1.2.0", "1.2.0-rc"),
    "matches": (r"^1\.[0-9.]+-", r"^[0-9.]+$"),
    "glob": ("1.?.*-??", "1.*.*.*"),
}


def text_rows(field: str, known: tuple[Envelope[Frozen], ...], *, waits: bool, **more: str) -> Iterator[Row]:
    for operator, (fits, other) in TEXTS.items():
        yield rule_on(field, operator, fits, **more), known, "holds"
        yield rule_on(field, operator, other, **more), known, "fails"
        if waits:
            yield rule_on(field, operator, fits, **more), (), "waits"


def with_version(field: str, known: tuple[Envelope[Frozen], ...], *, waits: bool, **more: str) -> Iterator[Row]:
    yield from text_rows(field, known, waits=waits, **more)
    yield rule_on(field, "semver", ">=1.2.0-0 <2", **more), known[:1], "holds"
    yield rule_on(field, "semver", "^2", **more), known[:1], "fails"
    if waits:
        yield rule_on(field, "semver", "^2", **more), (), "waits"


NUMBERS = {">=": (2, 3), ">": (1, 2), "=": (2, 1), "!=": (1, 2), "<": (3, 2), "<=": (2, 1)}


def number_rows(field: str, actual: int, known: tuple[Envelope[Frozen], ...]) -> Iterator[Row]:
    """Two of something: ``actual`` of it is what the field counts."""
    for operator, (fits, other) in NUMBERS.items():
        yield rule_on(field, operator, str(fits * actual // 2)), known, "holds"
        yield rule_on(field, operator, str(other * actual // 2)), known, "fails"
        yield rule_on(field, operator, str(fits * actual // 2)), (), "waits"


def two(severity: str, score_tenths: int | None = None) -> tuple[Envelope[Frozen], ...]:
    """Return a scan with two of this kind, and the inspection that tells there is one platform."""
    found = (vulnerability(f"CVE-{number}", severity, score_tenths) for number in (1, 2))
    return inspected(REPOSITORY, "one"), scanned(REPOSITORY, "one", *found)


def labelled(name: str, value: str) -> Envelope[Frozen]:
    image = platform_image("linux/amd64", "one", labels={name: value})
    return inspected(REPOSITORY, "one", image, annotations={name: value})


INSPECTED = inspected(REPOSITORY, "one", platform_image("linux/amd64", "one", size=2000))
LISTED = (
    INSPECTED,
    sbom(REPOSITORY, "one", component("other", ("MIT",)), component("1.2.0-rc", ("1.2.0-rc",))),
)
NO_DATE = inspected(REPOSITORY, "one", platform_image("linux/amd64", "one").model_copy(update={"created": None}))
AN_HOUR = ticked(3600)


def span_rows() -> Iterator[Row]:
    for field, known in (("age", (INSPECTED,)), ("soak", ())):
        yield rule_on(field, ">=", "1h"), (*known, AN_HOUR), "holds"
        yield rule_on(field, ">", "59m"), (*known, AN_HOUR), "holds"
        yield rule_on(field, "<=", "0s"), known, "holds"
        yield rule_on(field, "<", "1s"), known, "holds"
        yield rule_on(field, ">=", "1h"), known, "waits"
        yield rule_on(field, ">", "0s"), known, "waits"
    # A rule on time is judged again only while it waits: these fail with the first event that judges.
    moved = pushed(TAG, "other", time=at(1800))
    yield rule_on("soak", "<=", "1h"), (moved, back(3601)), "fails"
    yield rule_on("soak", "<", "1h"), (moved, back(3600)), "fails"
    built = at(-7200)
    old = inspected(REPOSITORY, "one", platform_image("linux/amd64", "one", created=built))
    for operator in ("<", "<="):
        yield rule_on("age", operator, "1h"), (old,), "fails"
        yield rule_on("age", operator, "1h"), (), "waits"
    for operator in (">", ">="):
        yield rule_on("age", operator, "1h"), (NO_DATE,), "fails"


def back(seconds: int) -> Envelope[Frozen]:
    """Return another push of the same image under the tag."""
    return pushed(TAG, "one", key=f"back after {seconds}", time=at(seconds))


def moment_rows() -> Iterator[Row]:
    yield rule_on("updated_at", "before", "2026-11-24T08:00:00.000001Z"), (), "holds"
    yield rule_on("updated_at", "before", "2026-11-24T09:00:00+01:00"), (), "fails"
    yield rule_on("updated_at", "after", "2026-11-24T07:59:59.999999Z"), (), "holds"
    yield rule_on("updated_at", "after", "2026-11-24T03:00:00-05:00"), (), "fails"
    yield rule_on("updated_at_duration", "before", "59m"), (AN_HOUR,), "holds"
    yield rule_on("updated_at_duration", "before", "72h"), (AN_HOUR,), "waits"
    yield rule_on("updated_at_duration", "after", "1s"), (), "holds"
    yield rule_on("updated_at_duration", "after", "0s"), (), "fails"
    # 2026-11-24 is a Tuesday; the push is at 08:00 UTC.
    yield rule_on("window", "inside", "Mon-Fri 08:00-17:00"), (), "holds"
    yield rule_on("window", "inside", "Mon-Fri 08:00-17:00", timezone="America/New_York"), (), "waits"
    yield rule_on("window", "inside", "2026-11-22/2026-11-23"), (), "fails"
    yield rule_on("window", "outside", "Sat,Sun"), (), "holds"
    yield rule_on("window", "outside", "2026-11-20/2026-11-27"), (), "waits"
    yield rule_on("window", "outside", "00:00-24:00"), (), "fails"


def platform_rows() -> Iterator[Row]:
    fitting = {
        "equals": "linux/arm64",
        "starts-with": "linux/",
        "ends-with": "/arm64",
        "contains": "x/a",
        "one-of": "linux/arm64",
        "not-one-of": "windows/amd64",
        "matches": "arm(64)?$",
        "glob": "*/arm??",
    }
    both = inspected(REPOSITORY, "one", platform_image("linux/amd64", "amd64"), platform_image("linux/arm64", "arm64"))
    for operator, fits in fitting.items():
        other = "linux/arm64" if operator == "not-one-of" else "s390x"
        yield rule_on("platform", operator, fits), (both,), "holds"
        yield rule_on("platform", operator, other), (both,), "fails"
        yield rule_on("platform", operator, fits), (), "waits"


def people_rows() -> Iterator[Row]:
    release, security = signed(REPOSITORY, "one", "release"), signed(REPOSITORY, "one", "security")
    yield rule_on("signed-by", "one-of", "release", "security"), (security,), "holds"
    yield rule_on("signed-by", "one-of", "release", "security"), (signed(REPOSITORY, "one", "other"),), "waits"
    yield rule_on("signed-by", "all-of", "release", "security"), (security, release), "holds"
    yield rule_on("signed-by", "all-of", "release", "security"), (release,), "waits"
    yield rule_on("approved", ">=", "2"), tuple(approved(REPOSITORY, "one", "p", by) for by in ("ann", "bob")), "holds"
    yield rule_on("approved", ">=", "2"), (approved(REPOSITORY, "one", "p", "ann"),), "waits"


ROWS: tuple[Row, ...] = (
    *with_version("tag", (), waits=False),
    *with_version("label", (labelled("version", "1.2.0-rc"),), waits=True, name="version"),
    *with_version("annotation", (labelled("version", "1.2.0-rc"),), waits=True, name="version"),
    *text_rows("component.name", LISTED, waits=True),
    *text_rows("license.name", LISTED, waits=True),
    *number_rows("vulnerability_all", 2, two("unknown")),
    *number_rows("vulnerability_critical", 2, two("low", 70)),
    *number_rows("vulnerability_major", 2, two("low", 40)),
    *number_rows("vulnerability_minor", 2, two("critical", 39)),
    *(
        row
        for severity in ("critical", "high", "medium", "low", "negligible", "unknown")
        for row in number_rows(f"severity_{severity}", 2, two(severity))
    ),
    *number_rows("size", 2000, (INSPECTED,)),
    *platform_rows(),
    *span_rows(),
    *moment_rows(),
    *people_rows(),
)


VERDICTS = {"holds": "promote", "fails": "deny", "waits": "hold"}


def found(rule: Rule, *facts: Envelope[Frozen]) -> tuple[str, RuleFinding]:
    """Return the last verdict on the image, and what the rule found."""
    state = MemoryState()
    events = (published(policy("p", REPOSITORY, "local/qa/app", rule)), pushed(TAG, "one"), *facts)
    made = [item.data for event in events for item in state.step(event).decisions]
    assert made[-1].policy == "p"
    (finding,) = made[-1].rules
    return made[-1].verdict, finding


@pytest.mark.parametrize(
    ("rule", "facts", "result"),
    ROWS,
    ids=[f"{row[0].field} {row[0].operator} {row[2]} {number}" for number, row in enumerate(ROWS)],
)
def test_a_rule_comes_out_as_the_table_says(rule: Rule, facts: tuple[Envelope[Frozen], ...], result: str) -> None:
    verdict, finding = found(rule, *facts)
    assert (finding.result, verdict) == (result, VERDICTS[result])
    assert (finding.field, finding.operator, finding.values) == (rule.field, rule.operator, rule.values)
    if result == "waits":
        assert finding.detail, "people are told what it waits for"


def test_every_field_and_operator_has_each_result_or_a_reason_why_not() -> None:
    everything = {(field, operator, result) for field, operator in pairs() for result in RESULTS}
    rows = {(rule.field, rule.operator, result) for rule, _, result in ROWS}
    assert rows | impossible() == everything
    assert rows & impossible() == set(), "what is said to be impossible happens"
    assert len(pairs()) > 100, "the models are read"


SEVERAL: dict[str, tuple[Rule, Rule]] = {
    "tag": (rule_on("tag", "equals", "x", "1.2.0-rc"), rule_on("tag", "equals", "x", "y")),
    "none": (rule_on("tag", "not-one-of", "x", "y"), rule_on("tag", "not-one-of", "x", "1.2.0-rc")),
    "size": (rule_on("size", "=", "1", "2 kB"), rule_on("size", "=", "1", "2KiB")),
    "count": (
        rule_on("vulnerability_all", "=", "9", "2"),
        rule_on("vulnerability_all", ">", "9", "2"),
    ),
    "platform": (
        rule_on("platform", "ends-with", "arm64", "amd64"),
        rule_on("platform", "not-one-of", "linux/arm64", "linux/amd64"),
    ),
    "updated_at": (
        rule_on("updated_at", "before", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        rule_on("updated_at", "after", "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"),
    ),
    "span": (rule_on("age", "<", "1s", "0s"), rule_on("updated_at_duration", "after", "0s", "0m")),
    "window": (
        rule_on("window", "inside", "Mon", "2026-11-24/2026-11-24"),
        rule_on("window", "inside", "2026-11-22/2026-11-22", "2026-11-23T00:00/2026-11-24T08:00"),
    ),
}


@pytest.mark.parametrize(("holding", "failing"), SEVERAL.values(), ids=SEVERAL)
def test_several_values_mean_any_of_them_and_none_for_not_one_of(holding: Rule, failing: Rule) -> None:
    known = (INSPECTED, scanned(REPOSITORY, "one", vulnerability("CVE-1"), vulnerability("CVE-2")))
    assert found(holding, *known)[1].result == "holds"
    assert found(failing, *known)[1].result == "fails"


def test_of_several_spans_the_shortest_is_waited_for() -> None:
    assert found(rule_on("soak", ">=", "2h", "1h"), AN_HOUR)[1].result == "holds"


CHOICE, BOTH = component("choice", ("MIT",), ("GPL-3.0-only",)), component("both", ("MIT", "GPL-3.0-only"))


@pytest.mark.parametrize(
    ("components", "result"),
    [
        ((CHOICE,), "holds"),
        ((BOTH,), "fails"),
        ((CHOICE, BOTH), "fails"),
        ((component("none"),), "holds"),
        ((), "holds"),
    ],
)
def test_a_component_breaks_a_list_of_refused_licences_only_when_every_choice_does(
    components: tuple[Any, ...], result: str
) -> None:
    known = (INSPECTED, sbom(REPOSITORY, "one", *components))
    assert found(rule_on("license.name", "not-one-of", "GPL-3.0-only"), *known)[1].result == result


@pytest.mark.parametrize(
    ("severity", "score", "field"),
    [
        ("low", 70, "vulnerability_critical"),
        ("low", 69, "vulnerability_major"),
        ("critical", 40, "vulnerability_major"),
        ("critical", 39, "vulnerability_minor"),
        ("critical", 0, "vulnerability_critical"),
        ("critical", None, "vulnerability_critical"),
        ("high", None, "vulnerability_critical"),
        ("medium", None, "vulnerability_major"),
        ("low", None, "vulnerability_minor"),
        ("negligible", None, "vulnerability_minor"),
        ("unknown", None, None),
    ],
)
def test_a_vulnerability_counts_in_one_band_at_most_and_always_in_all(
    severity: str, score: int | None, field: str | None
) -> None:
    known = (INSPECTED, scanned(REPOSITORY, "one", vulnerability("CVE-1", severity, score)))
    bands = ("vulnerability_critical", "vulnerability_major", "vulnerability_minor")
    counted = {band for band in bands if found(rule_on(band, "=", "1"), *known)[1].result == "holds"}
    assert counted == ({field} if field else set())
    assert found(rule_on("vulnerability_all", "=", "1"), *known)[1].result == "holds"
    assert found(rule_on(f"severity_{severity}", "=", "1"), *known)[1].result == "holds"


@pytest.mark.parametrize(
    "broken",
    [
        rule_on("tag", "matches", "("),
        rule_on("tag", "semver", "one"),
        rule_on("window", "inside", "Someday"),
        rule_on("window", "inside", "Mon", timezone="Europe/Atlantis"),
        rule_on("updated_at", "before", "2026-02-30T00:00:00Z"),
        rule_on("soak", ">=", "999999999w"),
    ],
    ids=lambda rule: f"{rule.field} {rule.values}",
)
def test_a_rule_that_cannot_be_read_fails_and_says_why(broken: Rule) -> None:
    _, finding = found(broken)
    assert finding.result == "fails"
    assert "cannot be applied" in (finding.detail or "")


def test_a_version_may_begin_with_v_and_what_is_no_version_is_in_no_range() -> None:
    known = labelled("version", "v1.2.0"), labelled("version", "latest")
    given = rule_on("label", "semver", "1.x", name="version")
    assert [found(given, fact)[1].result for fact in known] == ["holds", "fails"]


def test_a_label_must_fit_on_every_platform_and_one_that_is_missing_fits_nothing() -> None:
    team = {"team": "web"}
    first, second = platform_image("linux/amd64", "a", labels=team), platform_image("linux/arm64", "b")
    with_label = second.model_copy(update={"labels": team})
    given = rule_on("label", "equals", "web", name="team")
    assert found(given, inspected(REPOSITORY, "one", first, with_label))[1].result == "holds"
    assert found(given, inspected(REPOSITORY, "one", first, second))[1].result == "fails"
    none = rule_on("label", "not-one-of", "web", name="team")
    assert found(none, inspected(REPOSITORY, "one", second))[1].result == "holds"
    assert found(none, inspected(REPOSITORY, "one", first, second))[1].result == "fails"
