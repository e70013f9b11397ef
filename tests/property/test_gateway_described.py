"""A fuzzer of the gateway, by its own OpenAPI document: every answer is one that the document has, in its form.

What schemathesis checks of an API is checked here, of the app in the process: no server error, only documented
statuses, content types and schemas, and 405 for methods that are not documented. On top of that, deliveries of all
dialects with anything changed in them, to hooks with every way to verify a sender (but those that need a network):
what is accepted is in the log whole, what is refused says why and leaves nothing there.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schemas.envelope import Envelope
from schemas.events import ImageHinted
from schemas.references import Frozen
from streams.gateway.openapi import document
from streams.memory_log import MemoryLog
from tests.property.test_dialects import JSON, deliveries
from tests.property.test_gateway_hostile import HEADER_VALUES, HEADERS
from tests.support.gateways import app, calling, events_in
from towline import limits
from towline.dialects import DIALECTS, Delivery
from towline.hook_settings import HookSettings

SECRET = "0123456789-abcdef"
HEADER = "X-Secret"
USER = "sender"

HOOKS = {
    **{
        dialect: HookSettings.model_validate(
            {"registry": "local", "dialect": dialect, "anonymous": True, "trust": "full", "rate": 100_000}
        )
        for dialect in DIALECTS
    },
    **{
        f"by-{way.replace('_', '-')}": HookSettings.model_validate({"registry": "local", "rate": 100_000, way: secret})
        for way, secret in {
            "token": "env:FUZZ_SECRET",
            "basic": {"username": USER, "password": "env:FUZZ_SECRET"},
            "header": {"name": HEADER, "value": "env:FUZZ_SECRET"},
            "hmac": {"secret": "env:FUZZ_SECRET", "header": HEADER},
            "standard_webhooks": "env:FUZZ_SECRET",
            "path": "env:FUZZ_SECRET",
            "anonymous": True,
        }.items()
    },
    "slow": HookSettings(registry="local", anonymous=True, rate=0.001),
}

DOCUMENT = document()
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]
#: An answer has this many bytes at most, and so many more for each byte of the delivery: the ids of its events.
ANSWER_BYTES, ANSWER_BYTES_EACH = 4096, 2


@dataclass(frozen=True)
class Asked:
    """A request, and the path of the document that it goes to."""

    path: str
    method: str
    parameters: dict[str, str] = field(default_factory=dict)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    query: str = ""

    @property
    def url(self) -> str:
        filled = self.path
        for name, value in self.parameters.items():
            filled = filled.replace(f"{{{name}}}", quote(value, safe=""))
        return f"{filled}?{quote(self.query, safe='=&')}" if self.query else filled


SEGMENTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda text: text not in {".", ".."} and "/" not in text
)
NAMES = st.sampled_from(sorted(HOOKS)) | SEGMENTS
SECRETS = st.sampled_from([SECRET, SECRET[:-1], ""]) | SEGMENTS


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    """Any request to any path of the document, by any method."""
    path = draw(st.sampled_from(sorted(DOCUMENT["paths"])))
    item = DOCUMENT["paths"][path]
    drawn = {"source": NAMES, "secret": SECRETS.filter(bool), "reference": SEGMENTS, "of": SEGMENTS}
    parameters = {each["name"]: draw(drawn[each["name"]]) for each in item.get("parameters", ())}
    described = [name.upper() for name in item if name != "parameters"]
    method = draw(st.sampled_from(described) | st.sampled_from(METHODS))
    headers = draw(HEADERS)
    for named in item.get(method.lower(), {}).get("parameters", ()):
        if draw(st.booleans()):
            headers.append((named["name"].lower().encode(), draw(HEADER_VALUES)))
    body = draw(st.binary(max_size=100) | JSON.map(lambda value: repr(value).encode("utf-8", "replace")))
    return Asked(path, method, parameters, headers, body, draw(st.sampled_from(["", "a=b", "secret=x", "%00=\n"])))


@st.composite
def told(draw: st.DrawFn) -> Asked:
    """A delivery with something changed in it, to the hook of its dialect or to one that verifies, right or wrong."""
    verified = draw(st.integers(0, 2)) == 0
    dialect = "distribution" if verified else draw(st.sampled_from(sorted(DIALECTS)))
    delivery = draw(deliveries(dialect))
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in delivery.headers.items()]
    if not verified:
        return Asked("/hooks/{source}", "POST", {"source": dialect}, _plain(headers), delivery.body)
    name = draw(st.sampled_from(sorted(set(HOOKS) - set(DIALECTS))))
    secret = draw(SECRETS)
    path, parameters = "/hooks/{source}", {"source": name}
    if name == "by-path" and secret:
        path, parameters = "/hooks/{source}/{secret}", parameters | {"secret": secret}
    headers = [*headers, *_credentials(name, secret.encode(), delivery)]
    return Asked(path, "POST", parameters, _plain(headers), delivery.body)


def _plain(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What a server lets through: no line breaks."""
    return [(name, value) for name, value in headers if not {10, 13, 0} & set(value)]


def _credentials(name: str, secret: bytes, delivery: Delivery) -> list[tuple[bytes, bytes]]:
    match name:
        case "by-token":
            return [(b"authorization", b"Bearer " + secret)]
        case "by-basic":
            return [(b"authorization", b"Basic " + base64.b64encode(USER.encode() + b":" + secret))]
        case "by-header":
            return [(HEADER.lower().encode(), secret)]
        case "by-hmac":
            signature = hmac.new(secret, delivery.body, hashlib.sha256).hexdigest()
            return [(HEADER.lower().encode(), f"sha256={signature}".encode())]
        case "by-standard-webhooks":
            return [(b"webhook-id", b"1"), (b"webhook-timestamp", b"0"), (b"webhook-signature", b"v1," + secret)]
    return []


@pytest.fixture(scope="module", autouse=True)
def secrets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUZZ_SECRET", SECRET)
        yield


async def answered(asked: Asked) -> tuple[httpx.Response, list[Envelope[Frozen]]]:
    """The answer, and the events that are in the log then."""
    log = MemoryLog(partitions=1)
    async with calling(app(log, hooks=HOOKS)) as client, asyncio.timeout(30):
        answer = await client.request(asked.method, asked.url, headers=asked.headers, content=asked.body)
        return answer, await events_in(log)


def check(asked: Asked) -> httpx.Response:
    answer, kept = asyncio.run(answered(asked))
    assert answer.status_code < 500, answer.text
    assert len(answer.content) <= ANSWER_BYTES + ANSWER_BYTES_EACH * len(asked.body) or asked.method == "GET"
    operations = DOCUMENT["paths"][asked.path]
    operation = operations.get(asked.method.lower())
    if operation is not None:
        check_described(operation["responses"], answer)
    elif not (asked.method == "HEAD" and "get" in operations):
        assert answer.status_code == 405
        assert set(answer.headers["allow"].lower().replace(" ", "").split(",")) - {"head"} <= set(operations)
    if answer.status_code >= 400 and asked.method != "HEAD":
        check_refusal(answer)
    assert [event.id for event in kept] == (answer.json()["events"] if answer.status_code == 202 else [])
    hook = HOOKS.get(asked.parameters.get("source", ""))
    assert not kept or (hook is not None and hook.is_believed) or {type(event.data) for event in kept} == {ImageHinted}
    return answer


def check_described(responses: dict[str, Any], answer: httpx.Response) -> None:
    """The document has this status, with this content and these headers."""
    described = responses[str(answer.status_code)]
    content = described.get("content", {})
    kind = answer.headers.get("content-type", "")
    schema = content.get(kind, content.get("*/*"))
    assert schema is not None or not answer.content, f"{kind} is not described"
    if kind == "application/json" and schema is not None:
        whole = {**schema["schema"], "components": DOCUMENT["components"]}
        assert list(Draft202012Validator(whole).iter_errors(answer.json())) == []
    if answer.status_code >= 400:
        assert set(described.get("headers", ())) <= {name.title() for name in answer.headers} | {"WWW-Authenticate"}
        assert answer.status_code != 401 or "www-authenticate" in answer.headers


def check_refusal(answer: httpx.Response) -> None:
    (reason,) = answer.json()["error"].values()
    assert list(answer.json()) == ["error"]
    assert 0 < len(reason) < 3000
    assert reason.isprintable()


@settings(max_examples=300, deadline=None)
@given(requests())
@example(Asked("/hooks/{source}", "OPTIONS", {"source": "distribution"}, [(b"webhook-request-origin", b"a.example")]))
@example(Asked("/hooks/{source}", "POST", {"source": "harbor"}, [(b"content-encoding", b"gzip")]))
@example(Asked("/hooks/{source}", "POST", {"source": "quay"}, [(b"content-length", b"9999999999")]))
@example(Asked("/hooks/{source}", "TRACE", {"source": "distribution"}))
@example(Asked("/metrics", "GET"))
@example(Asked("/api/openapi.json", "GET"))
def test_every_answer_is_one_that_the_document_has(asked: Asked) -> None:
    check(asked)


@settings(max_examples=600, deadline=None)
@given(told())
def test_a_delivery_of_any_dialect_is_accepted_whole_or_refused_with_a_reason(asked: Asked) -> None:
    assert check(asked).status_code in {200, 202, 400, 401, 404, 413, 415}


def test_a_hook_that_is_told_too_much_says_when_to_come_again() -> None:
    async def flood() -> list[httpx.Response]:
        async with calling(app(MemoryLog(partitions=1), hooks=HOOKS)) as client:
            return [await client.post("/hooks/slow", content=b'{"events": []}') for _ in range(3)]

    answers = asyncio.run(flood())
    assert [answer.status_code for answer in answers] == [202, 429, 429]
    for answer in answers[1:]:
        check_described(DOCUMENT["paths"]["/hooks/{source}"]["post"]["responses"], answer)
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("size", [limits.hook_body_bytes, limits.hook_body_bytes + 1])
def test_the_largest_body_is_answered_as_the_document_has_it(size: int) -> None:
    asked = Asked("/hooks/{source}", "POST", {"source": "distribution"}, [], b" " * size)
    assert check(asked).status_code == (400 if size == limits.hook_body_bytes else 413)
