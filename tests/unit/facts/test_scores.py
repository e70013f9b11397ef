"""The best base score that a report has."""

import pytest

from towline.errors import UnusableInputError
from towline.facts.scores import Rating, score_tenths

V31 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
V30 = "CVSS:3.0/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:L/A:N"
V40 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
V2 = "AV:N/AC:L/Au:N/C:P/I:N/A:N"


def best(*ratings: Rating) -> int | None:
    assert score_tenths(reversed(ratings), ("nvd", "redhat"), "path") == score_tenths(
        ratings, ("nvd", "redhat"), "path"
    )
    return score_tenths(ratings, ("nvd", "redhat"), "path")


@pytest.mark.parametrize(
    ("vector", "tenths"),
    [
        (V31, 98),
        (V30, 48),
        (V40, 93),
        (V2, 50),
        (f"({V2})", 50),
        # The base score, whatever else is known about the threat and the place.
        (f"{V40}/E:U", 93),
        (f"{V31}/E:U/RL:O/RC:U", 98),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0),
    ],
)
def test_a_score_is_computed_from_its_vector(vector: str, tenths: int) -> None:
    assert best(Rating("nvd", 3, None, vector)) == tenths


@pytest.mark.parametrize("vector", ["", "nonsense", "CVSS:3.1/", "CVSS:4.0/AV:X", "CVSS:4", "AV:N/AV:N", "/", "()"])
def test_a_vector_that_is_none_says_nothing(vector: str) -> None:
    assert best(Rating("nvd", 3, None, vector)) is None
    assert best(Rating("nvd", 3, 0.0, vector)) is None
    assert best(Rating("nvd", 3, 5.5, vector)) == 55


def test_nvd_comes_first_then_the_vendor_then_the_highest_of_the_others() -> None:
    others = [Rating("ghsa", 3, 6.1, None), Rating("bitnami", 3, 6.5, None)]
    assert best(*others) == 65
    assert best(*others, Rating("redhat", 3, 4.0, None)) == 40
    assert best(*others, Rating("redhat", 3, 4.0, None), Rating("nvd", 3, 3.1, None)) == 31


def test_any_newer_version_comes_before_cvss_2() -> None:
    assert best(Rating("nvd", 2, 9.0, None), Rating("ghsa", 4, 2.0, None)) == 20


def test_of_one_source_the_newest_version_counts() -> None:
    assert best(Rating("nvd", 3, 9.8, V31), Rating("nvd", 4, 5.3, None)) == 53


def test_the_vector_knows_its_version_better() -> None:
    assert best(Rating("nvd", 2, 9.8, V31), Rating("redhat", 3, 5.3, None)) == 98


@pytest.mark.parametrize("score", [-0.1, 10.1, 1e300])
def test_a_score_that_cannot_be_is_refused_with_its_place(score: float) -> None:
    with pytest.raises(UnusableInputError, match=r"path: the CVSS score .* is not within 0\.0 and 10\.0"):
        score_tenths([Rating("nvd", 3, score, None)], ("nvd",), "path")
