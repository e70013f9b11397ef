"""Whatever is sent, the gateway answers: never a 5xx of its own, and never with half of a delivery in the log."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.memory_log import MemoryLog
from tests.support.gateways import OPEN, app, calling, events_in
from tests.unit.dialects.deliveries import cloud_event, distribution_event

HOOKS = {
    "local": OPEN,
    "ci": OPEN.model_copy(update={"dialect": "cloudevents"}),
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@st.composite
def mutated(draw: st.DrawFn, template: dict[str, Any]) -> Any:
    """A valid value with some members replaced by anything, or gone."""
    value: dict[str, Any] = json.loads(json.dumps(template))
    places = [value, *(member for member in value.values() if isinstance(member, dict))]
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(places))
        if place and draw(st.booleans()):
            place[draw(st.sampled_from(sorted(place)))] = draw(JSON)
        elif place:
            del place[draw(st.sampled_from(sorted(place)))]
    return value


ENVELOPES = st.lists(mutated(distribution_event()) | JSON, max_size=4).map(lambda events: {"events": events})
BODIES = st.binary(max_size=200) | (ENVELOPES | mutated(cloud_event()) | JSON).map(
    lambda value: json.dumps(value, ensure_ascii=True).encode()
)

HEADER_NAMES = st.sampled_from(
    [
        "content-type",
        "content-encoding",
        "content-length",
        "authorization",
        "ce-id",
        "ce-specversion",
        "ce-type",
        "ce-source",
        "ce-data",
        "ce_id",
        "transfer-encoding",
        "expect",
        "x",
    ]
)
# What a server lets through: no line breaks, any byte else.
HEADER_VALUES = (
    st.sampled_from(
        ["application/json", "application/cloudevents+json", "gzip", "identity", "1.0", "image.pushed", "%ff"]
    )
    | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20)
).map(lambda text: text.encode("latin-1"))
HEADERS = st.lists(st.tuples(HEADER_NAMES.map(str.encode), HEADER_VALUES), max_size=4)


async def _deliver(path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[httpx.Response, int]:
    log = MemoryLog(partitions=1)
    async with calling(app(log, hooks=HOOKS)) as client, asyncio.timeout(30):
        answer = await client.post(path, headers=headers, content=body)
        return answer, len(await events_in(log))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["/hooks/local", "/hooks/ci"]), HEADERS, BODIES)
def test_anything_is_accepted_whole_or_refused_with_a_reason(
    path: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    answer, kept = asyncio.run(_deliver(path, headers, body))
    if answer.status_code == 202:
        assert len(answer.json()["events"]) == kept
        return
    assert answer.status_code in {400, 413, 415}
    assert kept == 0
    assert list(answer.json()) == ["error"]
    reason = answer.json()["error"]["reason"]
    assert 0 < len(reason) < 3000
    assert reason.isprintable()


@settings(deadline=None, max_examples=100)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30).filter(lambda name: name not in HOOKS))
def test_any_other_hook_is_not_there(name: str) -> None:
    answer, kept = asyncio.run(_deliver(f"/hooks/{quote(name, safe='')}", [], b"{}"))
    assert answer.status_code == 404
    assert kept == 0
