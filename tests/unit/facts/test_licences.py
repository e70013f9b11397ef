"""Licences are alternatives of licences that apply together."""

from hashlib import sha256

import pytest

from towline import limits
from towline.facts.licences import licences_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MIT", (("MIT",),)),
        (" mit ", (("MIT",),)),
        ("(MIT)", (("MIT",),)),
        ("MIT OR (Apache-2.0 AND BSD-3-Clause)", (("Apache-2.0", "BSD-3-Clause"), ("MIT",))),
        ("MIT AND (Apache-2.0 or 0BSD)", (("0BSD", "MIT"), ("Apache-2.0", "MIT"))),
        ("MIT OR MIT", (("MIT",),)),
        ("GPL-2.0+", (("GPL-2.0-or-later",),)),
        ("GPL-2.0-only WITH Classpath-exception-2.0", (("GPL-2.0-only WITH Classpath-exception-2.0",),)),
        ("LicenseRef-ours OR MIT", (("LicenseRef-ours",), ("MIT",))),
        # On no list of SPDX, whatever a library takes it for.
        ("LicenseRef-MIT-Bootstrap", (("LicenseRef-MIT-Bootstrap",),)),
        ("public-domain and GPL-2", (("GPL-2", "public-domain"),)),
    ],
)
def test_an_expression_is_alternatives(text: str, expected: tuple[tuple[str, ...], ...]) -> None:
    assert licences_of([text]) == expected


@pytest.mark.parametrize("name", ["GPL v2", "MIT/X11", "see COPYING", "MIT AND", "(", "()", "( or foo", "WITH", "©"])
def test_a_name_that_is_no_expression_stays_as_it_is(name: str) -> None:
    assert licences_of([f" {name} "]) == ((name,),)


@pytest.mark.parametrize("texts", [[], [""], ["NOASSERTION"], ["NONE", " "]])
def test_where_nothing_is_known_nothing_is_claimed(texts: list[str]) -> None:
    assert licences_of(texts) == ()


def test_several_licences_of_a_package_apply_together() -> None:
    assert licences_of(["MIT OR 0BSD", "NOASSERTION", "Apache-2.0"]) == (("0BSD", "Apache-2.0"), ("Apache-2.0", "MIT"))


def test_what_is_not_known_beside_a_licence_does_not_vanish() -> None:
    assert licences_of(["MIT AND NOASSERTION"]) == (("MIT", "NOASSERTION"),)


def test_too_many_alternatives_become_the_strictest_one() -> None:
    most = [f"(a{number} OR b{number})" for number in range(6)]
    assert len(licences_of([" AND ".join(most)])) == limits.license_alternative_count
    ids = sorted(f"{letter}{number}" for number in range(40) for letter in "ab")
    more = [f"(a{number} OR b{number})" for number in range(40)]
    assert licences_of([" AND ".join(more)]) == (tuple(ids),)
    assert licences_of(more) == (tuple(ids),)
    many = [f"a{number}" for number in range(limits.license_alternative_count + 1)]
    assert licences_of([" OR ".join(many)]) == (tuple(sorted(many)),)


@pytest.mark.parametrize("text", ["Permission is hereby\ngranted", "a" * 513, "MIT OR " * 3000 + "MIT"])
def test_the_text_of_a_licence_stands_as_its_digest(text: str) -> None:
    assert licences_of([text]) == ((f"LicenseRef-text-{sha256(text.encode()).hexdigest()[:16]}",),)


@pytest.mark.parametrize("depth", [200, 201, 4000])
def test_nesting_does_no_harm(depth: int) -> None:
    (alternative,) = licences_of(["(" * depth + "MIT" + ")" * depth])
    assert (alternative == ("MIT",)) is (depth <= limits.license_nesting_depth)
