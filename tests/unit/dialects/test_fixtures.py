"""What each sender's deliveries tell, as recorded next to them; and that no dialect is without all kinds of them.

A fixture is ``headers`` and ``body`` as ``towline event publish`` takes them, or ``_raw`` for what is no JSON.
``_kind`` is positive (it tells of a tag or a scan), negative (it tells nothing, or is refused as no such event) or
hostile.
"""

import json
import re
from typing import Any

import pytest

from schemas.canonical import canonical_bytes
from schemas.events import ImagePushed
from tests.unit.dialects.deliveries import FIXTURES, delivery_of
from towline.dialects import DIALECTS, Fact, Hint, Notice, Translation, translate
from towline.dialects.recording import record
from towline.errors import UnusableInputError

FILES = sorted(FIXTURES.glob("**/*"))
LOADED = {
    f"{path.parent.name}/{path.stem}": json.loads(path.read_text(encoding="utf-8")) for path in FILES if path.is_file()
}

TOLD = [name for name, content in LOADED.items() if "_told" in content]
REFUSED = [name for name, content in LOADED.items() if "_refused" in content]
HANDSHAKES = [name for name, content in LOADED.items() if "_handshake" in content]


def read(name: str) -> Translation:
    return translate(name.partition("/")[0], delivery_of(LOADED[name]), "local")


def line(told: Fact | Hint | Notice) -> str:
    """Everything that was told, in one line."""
    data: Any = told.data
    image = f"{data.repository}" + (f":{data.tag}" if data.tag else "")
    match told:
        case Hint():
            text = f"hint {image}"
        case Notice():
            text = f"{'scanned' if data.succeeded else 'scan failed'} {image}" + (
                f"@{data.digest}" if data.digest else ""
            )
            text += f" with {data.scanner}" if data.scanner else ""
            text += f": {canonical_bytes(dict(data.counts)).decode()}" if data.succeeded else ""
        case Fact():
            text = f"{'pushed' if isinstance(data, ImagePushed) else 'deleted'} {image}"
            text += f"@{data.digest}" if data.digest else ""
    if isinstance(data, ImagePushed):
        about = [data.media_type, None if data.size is None else f"{data.size} bytes"]
        text += f" ({', '.join(filter(None, about))})" if any(about) else ""
    text += f" by {data.actor}" if data.actor else ""
    text += f" at {data.occurred_at}" if data.occurred_at else ""
    return text + (f" as {told.delivery_key}" if told.delivery_key else "")


@pytest.mark.parametrize("name", TOLD)
def test_a_delivery_tells_what_is_recorded_with_it_and_nothing_else(name: str) -> None:
    translation = read(name)
    told = [line(each) for each in (*translation.facts, *translation.hints, *translation.notices)]
    assert told == LOADED[name]["_told"]
    assert list(translation.passed) == LOADED[name]["_passed"]
    assert translation.flags == ()
    assert translation.handshake is None


@pytest.mark.parametrize("name", REFUSED)
def test_a_delivery_is_refused_as_a_whole_with_the_recorded_reason(name: str) -> None:
    with pytest.raises(UnusableInputError) as refused:
        read(name)
    assert re.search(LOADED[name]["_refused"], str(refused.value)), str(refused.value)


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_question_is_told_with_its_answer_and_nothing_else(name: str) -> None:
    translation = read(name)
    handshake = translation.handshake
    assert handshake is not None
    assert translation == Translation(handshake=handshake)
    assert {
        "subject": handshake.subject,
        "answer": handshake.answer.decode(),
        "headers": dict(handshake.headers),
        "confirm_url": handshake.confirm_url,
    } == LOADED[name]["_handshake"]


@pytest.mark.parametrize("name", TOLD)
def test_the_same_delivery_again_tells_the_same_under_the_same_keys(name: str) -> None:
    assert read(name) == read(name)


@pytest.mark.parametrize("name", TOLD)
def test_each_fact_of_a_delivery_is_an_event_of_its_own_and_the_same_one_when_it_comes_again(name: str) -> None:
    def ids(arrived_at: str) -> list[str]:
        # Without a key of the sender's the moment of arrival stands in, see test_recording.
        return [
            record(fact.data, fact.delivery_key, "s", arrived_at).id for fact in read(name).facts if fact.delivery_key
        ]

    first = ids("2026-11-24T08:00:00.000000Z")
    assert len(set(first)) == len(first)
    assert ids("2026-11-24T09:00:00.000000Z") == first


def test_every_file_is_a_fixture_of_a_dialect_and_says_what_is_expected() -> None:
    for path in FILES:
        if path.is_file():
            assert path.suffix == ".json"
            assert path.parent.parent == FIXTURES
    for name, content in LOADED.items():
        assert name.partition("/")[0] in DIALECTS, name
        assert content["_kind"] in {"positive", "negative", "hostile"}, name
        assert sum(expected in content for expected in ("_told", "_refused", "_handshake")) == 1, name
        assert ("_raw" in content) != ("body" in content), name
        if content["_kind"] == "positive":
            assert content.get("_told") or "_handshake" in content, name
        if content["_kind"] == "negative":
            assert not content.get("_told"), name


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_dialect_has_fixtures_of_all_kinds(dialect: str) -> None:
    kinds = {content["_kind"] for name, content in LOADED.items() if name.startswith(f"{dialect}/")}
    assert kinds == {"positive", "negative", "hostile"}


def test_every_dialect_is_a_row_of_its_documentation() -> None:
    rows = re.findall(
        r"^\| (`[^|]+) \|", (FIXTURES.parents[2] / "docs" / "dialects.md").read_text("utf-8"), re.MULTILINE
    )
    documented = [name for row in rows for name in re.findall(r"`([a-z-]+)`", row)]
    assert sorted(documented) == sorted(DIALECTS)
