"""Tag templates: DTR's 19 directives, in UTC and English, and nothing else."""

from datetime import UTC, datetime

import pytest

from schemas.references import Reference, Repository
from towline.policy.template import DIRECTIVES, resolve_tag, resolve_target, template_problem

MOMENT = datetime(2026, 2, 3, 4, 5, 6, 78, tzinfo=UTC)
ROWS = {
    "n": "1.0-%d", "A": "Tuesday", "a": "Tue", "w": "2", "d": "03", "B": "February", "b": "Feb", "m": "02",
    "Y": "2026", "y": "26", "H": "04", "I": "04", "p": "AM", "M": "05", "S": "06", "f": "000078", "Z": "UTC",
    "j": "034", "W": "05",
}  # fmt: skip


@pytest.mark.parametrize(("directive", "text"), ROWS.items())
def test_each_directive_stands_for_its_part_of_the_moment(directive: str, text: str) -> None:
    assert resolve_tag(f"x%{directive}y", "1.0-%d", MOMENT) == f"x{text}y"


def test_there_are_nineteen_directives_and_each_has_a_row() -> None:
    assert len(DIRECTIVES) == 19
    assert set(ROWS) == DIRECTIVES


@pytest.mark.parametrize(
    ("moment", "template", "text"),
    [
        (datetime(2026, 1, 1, 0, 0, tzinfo=UTC), "%I%p-%w-%W-%j", "12AM-4-00-001"),
        (datetime(2026, 12, 31, 12, 59, tzinfo=UTC), "%I%p-%w-%W-%j", "12PM-4-52-365"),
        (datetime(2024, 12, 31, 23, 0, tzinfo=UTC), "%H%I%p-%j", "2311PM-366"),
        (datetime(2026, 11, 29, 13, 0, tzinfo=UTC), "%w-%W-%I", "0-47-01"),
        (datetime(2000, 2, 29, 0, 0, tzinfo=UTC), "%y%m%d", "000229"),
    ],
)
def test_the_edges_of_days_weeks_and_years_are_those_of_strftime(moment: datetime, template: str, text: str) -> None:
    assert resolve_tag(template, "n", moment) == text == moment.strftime(template)


@pytest.mark.parametrize("template", ["%n", "%n-%Y%m%d", "v1.%j_x", "_%n"])
def test_a_template_that_can_be_a_tag_is_accepted(template: str) -> None:
    assert template_problem(template) is None


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("%U", "%U is not a directive"),
        ("%c", "%c is not a directive"),
        ("%n%", "% is not a directive"),
        ("%%", "%% is not a directive"),
        ("%n/%d", "only letters, digits"),
        ("%n d", "only letters, digits"),
        ("%n\n", "only letters, digits"),
        ("é", "only letters, digits"),
        ("-%n", "cannot begin with"),
        (".%n", "cannot begin with"),
    ],
)
def test_everything_else_is_refused_with_its_reason(template: str, reason: str) -> None:
    assert reason in (template_problem(template) or "")


def test_a_result_that_breaks_the_tag_grammar_is_refused_when_it_is_resolved() -> None:
    source = Reference.parse("local/dev/app:" + "x" * 128)
    with pytest.raises(ValueError, match="is not a reference"):
        resolve_target("%n-%Y", source, Repository.parse("local/qa/app"), MOMENT)
