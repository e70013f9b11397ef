"""Whatever a report contains, it is read, or refused with a reason."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.facts import SbomSubmitted, ScanCompleted
from schemas.references import Repository
from tests.unit.facts.reports import NAMES, document
from towline.errors import UnusableInputError
from towline.facts import fact_about, read_report
from towline.facts.licences import licences_of
from towline.facts.scores import Rating, score_tenths

REPOSITORY = Repository.parse("local/dev/website")
DIGEST = f"sha256:{'0' * 64}"

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["", "MIT OR (", "pkg:", "pkg:oci/x@sha256%3A", "CVSS:3.1/AV:N", "CVSS:4.0", "@", "sha256:", "9" * 600]
    )
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in ``value``: what holds it, and its name or number there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in inner for place in [(value, key), *_places(item)]]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A recorded report in which some places hold something else, or nothing, or what another place holds."""
    value = document(draw(st.sampled_from(NAMES)))
    for _ in range(draw(st.integers(1, 4))):
        places = _places(value)
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "remove", "move"])):
            case "replace":
                holder[key] = draw(JSON)
            case "remove":
                del holder[key]
            case _:
                other, name = draw(st.sampled_from(places))
                holder[key] = copy.deepcopy(other[name])
    return value


def _outcome(value: Any) -> ScanCompleted | SbomSubmitted | str:
    """Return the fact that a report makes, or why it is refused; any other exception is a failure."""
    try:
        report = read_report(json.dumps(value).encode())
        return fact_about(report, REPOSITORY, report.digests[0] if report.digests else DIGEST)
    except UnusableInputError as error:
        return str(error)


@settings(deadline=None, max_examples=600)
@given(mutated() | JSON)
def test_any_report_is_a_fact_of_the_contract_or_refused_with_a_reason(value: Any) -> None:
    outcome = _outcome(value)
    if isinstance(outcome, str):
        assert 0 < len(outcome) < 3000
        assert outcome.isprintable()
    else:
        # Whole: nothing in it that the contract would not take.
        assert type(outcome).model_validate_json(outcome.model_dump_json()) == outcome


TOKENS = ["MIT", "0BSD", "foo", "and", "OR", "with", "(", ")", " ", "\t", "Classpath-exception-2.0", "+", "/", ",", "©"]


@settings(deadline=None, max_examples=600)
@given(st.lists(st.sampled_from(TOKENS) | st.text(max_size=3), max_size=12), st.sampled_from(["", " "]))
def test_any_text_is_a_licence(tokens: list[str], separator: str) -> None:
    text = separator.join(tokens).strip()
    found = licences_of([text])
    assert (found == ()) is (text in {"", "NONE", "NOASSERTION"})
    assert all(alternative and list(alternative) == sorted(alternative) for alternative in found)


METRICS = ["CVSS:3.1", "CVSS:4.0", "CVSS:3", "AV:N", "AC:L", "PR:N", "UI:N", "S:U", "C:H", "I:H", "A:H", "", ":", "E:X"]


@settings(deadline=None, max_examples=600)
@given(st.lists(st.sampled_from(METRICS) | st.text(max_size=4), max_size=12).map("/".join))
def test_any_vector_has_a_score_or_none(vector: str) -> None:
    tenths = score_tenths([Rating("nvd", 3, None, vector)], ("nvd",), "path")
    assert tenths is None or 0 <= tenths <= 100
