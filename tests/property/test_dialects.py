"""Whatever a sender delivers, a dialect tells facts that fit into the contract, or refuses with one short reason."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import decode
from schemas.events import ImageDeleted, ImageHinted, ImagePushed
from schemas.facts import ScanNoticed
from streams.routing import event_append
from tests.unit.dialects.deliveries import FIXTURES
from towline.dialects import DIALECTS, Delivery, Translation, answer_options, translate
from towline.dialects.recording import events_of
from towline.errors import UnusableInputError

TEMPLATES: dict[str, list[tuple[dict[str, str], Any]]] = {dialect: [] for dialect in DIALECTS}
for path in sorted(FIXTURES.glob("*/*.json")):
    content = json.loads(path.read_text(encoding="utf-8"))
    if "body" in content:
        headers = {name.lower(): value for name, value in content["headers"].items()}
        TEMPLATES[path.parent.name].append((headers, content["body"]))

#: What senders might write where they write something else, and what breaks readers.
ODD = st.sampled_from(
    [
        "",
        "a" * 300,
        "../..",
        "1.0\n",
        "sha256:" + "0" * 64,
        "sha256:" + "A" * 64,
        "towline/1",
        "\u202e1.0",
        "host/name:tag",
        "0001-01-01T00:00:00Z",
        "https://169.254.169.254/",
        "PUSH_ARTIFACT",
        "DELETE",
        2**64 - 1,
        -(2**63),
        1e308,
        -1,
        True,
        None,
        [],
        {},
        [[]],
        {"Type": "Notification"},
        {"Records": [{"body": "{}"}]},
    ]
).map(lambda value: json.loads(json.dumps(value)))
JSON = ODD | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def _places(value: Any) -> list[Any]:
    found = [value] if isinstance(value, dict | list) and value else []
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        found.extend(_places(inner))
    return found


@st.composite
def deliveries(draw: st.DrawFn, dialect: str) -> Delivery:
    """A recorded delivery with some members replaced by anything, or gone; headers too."""
    headers, body = json.loads(json.dumps(draw(st.sampled_from(TEMPLATES[dialect]))))
    for _ in range(draw(st.integers(0, 3))):
        places = _places(body)
        if not places:
            break
        place = draw(st.sampled_from(places))
        at = draw(st.sampled_from(sorted(place))) if isinstance(place, dict) else draw(st.integers(0, len(place) - 1))
        if draw(st.integers(0, 3)):
            place[at] = _rewrapped(draw, place[at])
        else:
            del place[at]
    if draw(st.integers(0, 9)) == 0:
        headers[draw(st.sampled_from(["content-type", "ce-id", "ce-type", "x-github-event", "x-odd"]))] = draw(
            st.text(max_size=20)
        )
    return Delivery(headers, json.dumps(body).encode())


def _rewrapped(draw: st.DrawFn, value: Any) -> Any:
    """Anything; or, of JSON inside a text, the same with something changed inside."""
    if isinstance(value, str) and value.startswith("{") and draw(st.booleans()):
        inner = json.loads(value)
        inner[draw(st.sampled_from(sorted(inner)) if inner else st.just("x"))] = draw(JSON)
        return json.dumps(inner)
    if draw(st.integers(0, 9)) == 0:
        return base64.b64encode(json.dumps(draw(JSON)).encode()).decode()
    return draw(JSON)


def check(dialect: str, delivery: Delivery) -> None:
    try:
        translation = translate(dialect, delivery, "local")
    except UnusableInputError as error:
        reason = str(error)
    else:
        reason = "told"
        fits(translation, len(delivery.body))
        assert translation == translate(dialect, delivery, "local")
    assert 0 < len(reason) < 3000
    assert reason.isprintable()


def fits(translation: Translation, size: int) -> None:
    """All that is told is of the contract, of our registry, and no more than what was sent can say."""
    for fact in translation.facts:
        assert isinstance(fact.data, ImagePushed | ImageDeleted)
        assert type(fact.data).model_validate_json(fact.data.model_dump_json()) == fact.data
    for told, model in (
        *((hint, ImageHinted) for hint in translation.hints),
        *((n, ScanNoticed) for n in translation.notices),
    ):
        assert isinstance(told.data, model)
        assert model.model_validate_json(told.data.model_dump_json()) == told.data
    for event in events_of(translation, "s", "2026-11-24T08:00:00.000000Z"):
        assert decode(event_append(event).value or b"") == event
    everything = (*translation.facts, *translation.hints, *translation.notices)
    assert all(told.data.repository.registry == "local" for told in everything)
    assert len(everything) + len(translation.passed) <= max(1, size)
    assert all(len(text) < 500 and text.isprintable() for text in (*translation.passed, *translation.flags))
    if translation.handshake is not None:
        url = translation.handshake.confirm_url
        assert url is None or url.startswith("https://sns.")
        assert len(translation.handshake.answer) < 500


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_changed_delivery_is_told_within_the_contract_or_refused(dialect: str, data: st.DataObject) -> None:
    check(dialect, data.draw(deliveries(dialect)))


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@settings(max_examples=20, deadline=None)
@given(body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_told_within_the_contract_or_refused(dialect: str, body: bytes) -> None:
    check(dialect, Delivery({}, body))
    check(dialect, Delivery(TEMPLATES[dialect][0][0], body))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["webhook-request-origin", "webhook-request-rate", "x"]), st.text(max_size=30)))
def test_an_answer_to_options_has_no_header_that_could_be_two(headers: dict[str, str]) -> None:
    try:
        handshake = answer_options(headers)
    except UnusableInputError:
        return
    assert all(text.isascii() and text.isprintable() for pair in handshake.headers for text in pair)
