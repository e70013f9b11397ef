"""CloudEvents from any producer, in every mode, mean the same."""

import json
from typing import Any

import pytest

from schemas.events import ImageDeleted, ImagePushed
from tests.unit.dialects.deliveries import DIGEST, binary, cloud_event, push_data, structured
from towline.dialects import Delivery, Translation, translate
from towline.errors import UnusableInputError


def read(delivery: Delivery, registry: str | None = None) -> Translation:
    return translate("cloudevents", delivery, registry)


def test_all_modes_tell_the_same() -> None:
    expected = read(structured())
    assert read(Delivery({}, json.dumps(cloud_event()).encode())) == expected
    assert read(binary("ce_")) == expected
    assert read(binary("ce-")) == expected
    (fact,) = expected.facts
    assert isinstance(fact.data, ImagePushed)
    assert fact.data.digest == DIGEST


def test_a_deletion_is_read() -> None:
    (fact,) = read(structured(type="image.deleted", data={"repository": "local/a", "tag": "1"})).facts
    assert isinstance(fact.data, ImageDeleted)


def test_equal_ids_of_different_sources_are_different_facts() -> None:
    one, other = read(structured(source="a")), read(structured(source="b"))
    assert one.facts[0].delivery_key != other.facts[0].delivery_key
    assert read(structured(source="a")) == one


def test_extension_attributes_are_fine() -> None:
    assert len(read(structured(traceparent="00-0af", count=7)).facts) == 1
    assert len(read(binary("ce_", traceparent="00-0af")).facts) == 1


def test_http_headers_are_percent_decoded_and_kafka_headers_are_not() -> None:
    assert read(binary("ce-", source="%C3%A9%20x")) == read(structured(source="é x"))
    assert read(binary("ce_", source="%C3%A9%20x")) == read(structured(source="%C3%A9%20x"))


def test_the_attribute_time_stands_in_when_the_data_has_no_moment() -> None:
    told = read(structured(time="2026-11-24T09:00:00+01:00")).facts[0].data
    assert told.occurred_at == "2026-11-24T08:00:00.000000Z"
    moment = "2020-01-01T00:00:00.000000Z"
    own = read(structured(time="2026-11-24T09:00:00Z", data=push_data(occurred_at=moment))).facts[0].data
    assert own.occurred_at == moment


def test_a_bad_time_is_flagged_and_does_not_cost_the_event() -> None:
    translation = read(structured(time="now"))
    assert translation.facts[0].data.occurred_at is None
    assert translation.flags == ("time: 'now' is not a moment and was left out",)


def test_a_sender_may_speak_for_its_own_registry_only() -> None:
    assert len(read(structured(), "local").facts) == 1
    with pytest.raises(UnusableInputError, match="speaks for registry 'other' only"):
        read(structured(), "other")


@pytest.mark.parametrize("type_", ["policy.published", "policy.proposed", "transfer.completed", "clock.ticked", "x"])
def test_types_that_producers_do_not_write_are_refused_with_the_known_ones(type_: str) -> None:
    with pytest.raises(UnusableInputError, match=r"unknown; known are image\.deleted, image\.pushed"):
        read(structured(type=type_))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"specversion": "0.3"}, "^specversion: "),
        ({"id": None}, "^id: "),
        ({"id": ""}, "^id: "),
        ({"id": 7}, "^id: "),
        ({"id": "a\nb"}, "^id: "),
        ({"source": None}, "^source: "),
        ({"type": None}, "^type: "),
        ({"data": None}, "^data: "),
        ({"data": []}, "^data: "),
        ({"data": "text"}, "^data: "),
        ({"data_base64": "e30="}, "^data_base64: "),
        ({"version": 2}, "^version: 2 of image.pushed is newer than 1"),
        ({"version": "1"}, "^version: "),
        ({"version": 0}, "^version: "),
        ({"version": True}, "^version: "),
        ({"datacontenttype": "application/xml"}, "^datacontenttype: "),
        ({"data": push_data(more=1)}, r"^data\.more: "),
        ({"data": push_data(tag=None)}, r"^data\.tag: "),
        ({"data": push_data(digest="sha256:" + "A" * 64)}, r"^data\.digest: "),
        ({"data": push_data(repository="dev")}, r"^data\.repository: "),
        ({"data": push_data(size="557")}, r"^data\.size: "),
        ({"data": push_data(occurred_at="2026-11-24T08:00:00Z")}, r"^data\.occurred_at: "),
        ({"type": "image.deleted", "data": {"repository": "local/a"}}, "^data: name the tag or the digest"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableInputError, match=reason):
        read(structured(**changes))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"content-type": "application/cloudevents-batch+json"}, "must be a JSON array"),
        ({"content-type": "application/cloudevents+avro"}, "known are application/cloudevents-batch"),
        ({"ce_id": "1", "ce-id": "1"}, "occurs twice"),
        ({"ce_data": "{}"}, "is none"),
        ({"ce-id": "%ff"}, "percent-encoding"),
        ({"ce_id": "1"}, "specversion: "),
    ],
)
def test_headers_that_make_no_sense_are_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(UnusableInputError, match=reason):
        read(Delivery(headers, json.dumps(push_data()).encode()))


@pytest.mark.parametrize("body", [b"{}", b"[]", b"7", b'{"repository": "local/a"}'])
def test_json_that_is_no_cloudevent_is_refused(body: bytes) -> None:
    with pytest.raises(UnusableInputError, match="not a CloudEvent"):
        read(Delivery({}, body))


def test_a_binary_version_is_read_from_its_digits() -> None:
    assert read(binary("ce_", version="1")) == read(structured(version=1))


@pytest.mark.parametrize("version", ["2", "0", "1" * 30, "-1", "1.0", "x", "²"])
def test_a_binary_version_that_is_unknown_or_no_number_is_refused(version: str) -> None:
    with pytest.raises(UnusableInputError, match="version: "):
        read(binary("ce_", version=version))


def batch(*events: Any) -> Delivery:
    return Delivery({"content-type": "application/cloudevents-batch+json"}, json.dumps(events).encode())


def test_a_batch_tells_what_its_events_tell_one_by_one() -> None:
    gone = {"type": "image.deleted", "data": {"repository": "local/a", "tag": "1"}}
    events = [cloud_event(id="1"), cloud_event(id="2", **gone)]
    singles = [structured(id="1"), structured(id="2", **gone)]
    assert read(batch(*events)).facts == tuple(fact for single in singles for fact in read(single).facts)
    assert read(batch()) == Translation()


def test_one_bad_event_refuses_the_whole_batch_with_its_number() -> None:
    for event in [cloud_event(id=None), cloud_event(data=push_data(tag=None)), [], None, {}]:
        with pytest.raises(UnusableInputError, match=r"^1: "):
            read(batch(cloud_event(), event, cloud_event()))


def test_a_bad_time_in_a_batch_is_flagged_with_its_number() -> None:
    flagged = read(batch(cloud_event(), cloud_event(time="now")))
    assert flagged.flags == ("1: time: 'now' is not a moment and was left out",)


def test_a_flood_of_extra_members_gives_a_short_reason() -> None:
    data = push_data(**{f"member{number}\x1b": number for number in range(10_000)})
    with pytest.raises(UnusableInputError) as refused:
        read(structured(data=data))
    assert len(str(refused.value)) < 1000
    assert "\x1b" not in str(refused.value)
    assert "and 9995 more" in str(refused.value)
