"""What holds for all senders, and the few things of single ones that a recorded delivery does not show."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.unit.dialects.deliveries import FIXTURES, fixture
from towline.dialects import DIALECTS, Delivery, Handshake, Translation, answer_options, translate
from towline.dialects.moments import instant_of_seconds
from towline.errors import UnusableInputError

JSON = {"content-type": "application/json"}

VENDORS = sorted(set(DIALECTS) - {"cloudevents"})


def body_of(dialect: str, name: str) -> Any:
    return json.loads((FIXTURES / dialect / f"{name}.json").read_text(encoding="utf-8"))["body"]


def read(dialect: str, body: Any, headers: dict[str, str] | None = None) -> Translation:
    return translate(dialect, Delivery(JSON if headers is None else headers, json.dumps(body).encode()), "local")


def test_an_unknown_dialect_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnusableInputError, match="'fax' is unknown; known are acr, aliyun, cloudevents"):
        translate("fax", Delivery({}, b"{}"), None)


@pytest.mark.parametrize("dialect", VENDORS)
def test_a_sender_that_does_not_say_which_registry_it_is_has_to_be_named(dialect: str) -> None:
    with pytest.raises(UnusableInputError, match=f"^{dialect} does not say which registry it is"):
        translate(dialect, Delivery({}, b"{}"), None)


@pytest.mark.parametrize("registry", ["a/b", "", "A", "a b", "a\n", "../x"])
@pytest.mark.parametrize("dialect", VENDORS)
def test_a_registry_that_settings_cannot_have_is_refused(dialect: str, registry: str) -> None:
    with pytest.raises(UnusableInputError, match="is not the name of a registry"):
        translate(dialect, Delivery({}, b"{}"), registry)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 100, b'"x" ' * 400_000, b'{"a": 1, "a": 2}'])
def test_a_body_that_two_readers_could_read_differently_is_refused(dialect: str, body: bytes) -> None:
    with pytest.raises(UnusableInputError):
        translate(dialect, Delivery(JSON, body), "local")


@pytest.mark.parametrize(
    ("dialect", "name", "path"),
    [
        ("dtr", "tag-push", "createdAt"),
        ("gar", "push", "publishTime"),
        ("acr", "push", "timestamp"),
        ("ecr", "push", "time"),
        ("nexus", "component-created", "timestamp"),
        ("ghcr", "package-published", "package.updated_at"),
        ("harbor", "cloudevents-push", "time"),
    ],
)
def test_a_bad_moment_is_flagged_and_does_not_cost_the_tag(dialect: str, name: str, path: str) -> None:
    body = place = body_of(dialect, name)
    *parents, last = (["message"] if dialect == "gar" else []) + path.split(".")
    for parent in parents:
        place = place[parent]
    place[last] = "yesterday"
    translation = read(dialect, body)
    (told,) = (*translation.facts, *translation.hints)
    assert told.data.occurred_at is None
    assert translation.flags == (f"{path}: 'yesterday' is not a moment and was left out",)
    place[last] = "0001-01-01T00:00:00Z"
    unknown = read(dialect, body)
    assert unknown.flags == ()
    assert (*unknown.facts, *unknown.hints)[0].data.occurred_at is None


@pytest.mark.parametrize(
    ("seconds", "instant"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1764000901, "2025-11-24T16:15:01.000000Z"),
        (1764000901.5, "2025-11-24T16:15:01.500000Z"),
        (-1, "1969-12-31T23:59:59.000000Z"),
        (None, None),
        (1e300, None),
        (2**63, None),
        (float("nan"), None),
    ],
)
def test_seconds_become_an_instant_or_nothing(seconds: float | None, instant: str | None) -> None:
    assert instant_of_seconds(seconds) == instant


def test_senders_that_give_nothing_to_tell_a_retry_by_have_no_key() -> None:
    assert [hint.delivery_key for hint in translate("quay", fixture("quay", "push"), "local").hints] == [None, None]
    assert translate("jfrog", fixture("jfrog", "pushed"), "local").facts[0].delivery_key is None
    body = body_of("dtr", "tag-push")
    del body["createdAt"]
    assert read("dtr", body).hints[0].delivery_key is None
    body = body_of("harbor", "push")
    del body["occur_at"]
    assert [fact.delivery_key for fact in read("harbor", body).facts] == [None, None]


def test_a_sender_that_nobody_can_know_never_gives_the_digest() -> None:
    for dialect in ("aliyun", "dtr", "dockerhub", "quay"):
        for path in sorted((FIXTURES / dialect).glob("*.json")):
            if not path.stem.startswith("hostile") and not path.stem.startswith("no-"):
                assert translate(dialect, fixture(dialect, path.stem), "local").facts == ()


def test_eight_thousand_artifacts_of_one_delivery_are_all_told() -> None:
    body = body_of("harbor", "push")
    (first, _) = body["event_data"]["resources"]
    digest = first["digest"]
    body["event_data"]["resources"] = [{"digest": digest, "tag": str(number)} for number in range(8000)]
    assert [fact.data.tag for fact in read("harbor", body).facts] == [str(number) for number in range(8000)]


class TestQuestions:
    def test_a_topic_in_china_is_confirmed_there(self) -> None:
        topic = "arn:aws-cn:sns:cn-north-1:123456789012:events.fifo"
        handshake = read("ecr", body_of("ecr", "subscription") | {"TopicArn": topic}).handshake
        assert handshake is not None
        assert handshake.confirm_url is not None
        address = urlsplit(handshake.confirm_url)
        assert (address.scheme, address.netloc, address.path) == ("https", "sns.cn-north-1.amazonaws.com.cn", "/")
        assert parse_qs(address.query)["TopicArn"] == [topic]

    @pytest.mark.parametrize(
        "topic",
        [
            "arn:aws:sns:us-west-2.evil.example.com:123456789012:t",
            "arn:aws:sns:us-west-2@evil:123456789012:t",
            "arn:aws:sns:us-west-2:1234:t",
            "arn:aws:sqs:us-west-2:123456789012:t",
            "arn:aws:sns:us-west-2:123456789012:t&Action=x",
            "arn:aws:sns:us-west-2:123456789012:t\n",
            "arn:aws:sns:ü-west-2:123456789012:t",
            "",
        ],
    )
    def test_no_topic_leads_to_another_host(self, topic: str) -> None:
        with pytest.raises(UnusableInputError, match=r"^TopicArn: "):
            read("ecr", body_of("ecr", "subscription") | {"TopicArn": topic})

    def test_a_question_inside_a_queue_is_no_question(self) -> None:
        inner = json.dumps(body_of("ecr", "subscription"))
        with pytest.raises(UnusableInputError, match=r"^Records\.0\.body\."):
            read("ecr", {"Records": [{"body": inner}]})

    def test_cloudevents_senders_are_allowed_to_send_to_this_hook(self) -> None:
        asked = {"webhook-request-origin": "eventgrid.azure.net", "webhook-request-callback": "http://169.254.169.254/"}
        allowed = (("Allow", "POST"), ("WebHook-Allowed-Origin", "eventgrid.azure.net"))
        assert answer_options(asked) == Handshake("eventgrid.azure.net", headers=allowed)
        rated = answer_options(asked | {"webhook-request-rate": "120"})
        assert rated.headers == (*allowed, ("WebHook-Allowed-Rate", "*"))

    @pytest.mark.parametrize("origin", [None, "", "*", "a\r\nSet-Cookie: x=1", "http://a/", "a" * 300, "é.example.com"])
    def test_whoever_does_not_say_who_they_are_gets_no_answer(self, origin: str | None) -> None:
        with pytest.raises(UnusableInputError, match=r"^WebHook-Request-Origin: "):
            answer_options({} if origin is None else {"webhook-request-origin": origin})
