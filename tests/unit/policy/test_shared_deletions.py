"""No policy may remove from a target what another one brings there from a tag that is still at the source."""

import pytest

from schemas.policies import Policy
from tests.support.builders import policy, rule
from tests.unit.policy.test_check import problems


def mirror(**changes: object) -> Policy:
    given = {"source": "local/dev/app", "target": "remote/app", "deletions": "100%"} | changes
    return policy("mirror", str(given.pop("source")), str(given.pop("target")), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other",
    [
        policy("other", "local/dev/app", "remote/app", tag="v%n"),
        policy("other", "local/dev/app", "remote/app", rule("equals", "9.9"), tag="latest"),
        policy("other", "local/dev/*", "remote/{1}", tag="v%n"),
        policy("other", "local/dev/app", "remote/app", tag="%n-%Y"),
    ],
)
@pytest.mark.parametrize("source", [{}, {"source": "local/dev/*", "target": "remote/{1}"}])
def test_another_template_for_the_same_target_tags_is_refused_beside_deletions(
    other: Policy, source: dict[str, str]
) -> None:
    (found,) = [text for text in problems(mirror(**source), other) if "removed" in text]
    assert found.startswith("policies.0.deletions: a tag that vanished could be removed from remote/")
    assert "policies.1 ('other') brings it there from another tag" in found
    assert not [text for text in problems(mirror(**source, deletions="never"), other) if "removed" in text]


@pytest.mark.parametrize(
    "other",
    [
        policy("other", "local/dev/app", "remote/app", rule("ends-with", "-stable")),
        policy("other", "local/dev/app", "remote/other", tag="v%n"),
        policy("other", "local/dev/app", "elsewhere/app", tag="v%n"),
        policy("other", "local/dev/app", "remote/app", tag="v%n", mode="disabled"),
        policy("other", "local/qa/*", "remote/qa-{1}", tag="v%n"),
    ],
)
def test_one_template_or_another_target_is_fine_beside_deletions(other: Policy) -> None:
    assert not [text for text in problems(mirror(), other) if "removed" in text]


def test_mirrors_that_never_meet_need_few_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [policy(f"p{n}", f"local/a{n}", f"remote/a{n}", deletions="10%") for n in range(50)]
    monkeypatch.setattr("towline.limits.policy_pair_count", 60)
    assert problems(*many) == []
