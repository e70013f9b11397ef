"""A thousand letters of one kind are one cause."""

import pytest

from streams.letters.causes import cause_of


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("events.17.target.digest: Field required", "events.N.target.digest: Field required"),
        ("unknown dialect 'quai'; known are acr, aliyun", "unknown dialect …; known are acr, aliyun"),
        ('tag: "a b" is none', "tag: … is none"),
        ("1048577 bytes are more than the 1048576 of an event", "N bytes are more than the N of an event"),
        ("local/dev/app:1.0 belongs into partition 3, not 5", "… belongs into partition N, not N"),
        (f"sha256:{'a' * 64} is not there", "DIGEST is not there"),
        (f"no event {'0f' * 32}", "no event ID"),
        ("cannot read /var/lib/x.json: gone", "cannot read …: gone"),
        ("x\n  y\tz", "x y z"),
    ],
)
def test_names_and_numbers_are_no_part_of_a_cause(reason: str, cause: str) -> None:
    assert cause_of(reason) == cause


def test_what_differs_in_words_is_another_cause() -> None:
    assert cause_of("data.tag: Field required") != cause_of("data.digest: Field required")


def test_a_cause_is_short_and_its_own_cause() -> None:
    long = cause_of("x 'y' 17 " * 1000)
    assert len(long) <= 300
    assert cause_of(long[:199]) == long[:199]
