"""CNCF distribution's envelopes become events about tags, all of a delivery or nothing."""

from typing import Any

import pytest

from schemas.descriptors import OCI_INDEX, OCI_MANIFEST
from schemas.events import ImageDeleted, ImagePushed
from schemas.references import Repository
from tests.unit.dialects.deliveries import distribution, distribution_event, fixture
from towline.dialects import Delivery, Translation, translate
from towline.errors import UnusableInputError


def read(delivery: Delivery) -> Translation:
    return translate("distribution", delivery, "local")


def only(delivery: Delivery) -> ImagePushed | ImageDeleted:
    (fact,) = read(delivery).facts
    return fact.data


@pytest.mark.parametrize(("name", "media_type"), [("push-manifest-tag", OCI_MANIFEST), ("push-index-tag", OCI_INDEX)])
def test_a_pushed_tag_becomes_an_event(name: str, media_type: str) -> None:
    data = only(fixture("distribution", name))
    assert isinstance(data, ImagePushed)
    assert data.repository == Repository("local", "dev/website")
    assert data.media_type == media_type
    assert data.actor == "ci"
    assert data.size is not None
    assert data.digest.startswith("sha256:")
    assert data.occurred_at is not None


def test_the_event_id_of_the_registry_is_the_delivery_key() -> None:
    (fact,) = read(distribution(distribution_event(id="vendor-id"))).facts
    assert fact.delivery_key == "vendor-id"


def test_the_registry_is_named_by_the_settings_and_not_by_the_body() -> None:
    event = distribution_event() | {"request": {"host": "evil.example.com"}, "source": {"addr": "evil.example.com"}}
    assert only(distribution(event)).repository == Repository("local", "dev/website")


@pytest.mark.parametrize("name", ["push-manifest-by-digest", "push-blob", "pull-manifest-tag", "mount-blob"])
def test_what_does_not_move_a_tag_is_passed_over_and_counted(name: str) -> None:
    translation = read(fixture("distribution", name))
    assert (translation.facts, translation.passed_over) == ((), 1)


def test_a_deleted_tag_is_not_taken_for_a_deleted_digest() -> None:
    data = only(fixture("distribution", "delete-tag"))
    assert isinstance(data, ImageDeleted)
    assert (data.tag, data.digest, data.actor) == ("1.0-stable", None, "cleaner")


def test_a_deleted_digest_has_no_tag() -> None:
    data = only(fixture("distribution", "delete-digest"))
    assert isinstance(data, ImageDeleted)
    assert data.tag is None
    assert data.digest is not None


def test_a_batch_keeps_its_order_and_counts_the_rest() -> None:
    translation = read(fixture("distribution", "batch"))
    assert [type(fact.data) for fact in translation.facts] == [ImagePushed, ImageDeleted]
    assert translation.passed_over == 3


@pytest.mark.parametrize("action", ["replicate", "quarantine"])
def test_unknown_actions_are_counted_and_yield_nothing(action: str) -> None:
    reason = f"events.0: action {action!r} neither pushes nor deletes"
    assert read(distribution(distribution_event(action=action))) == Translation(passed=(reason,))


@pytest.mark.parametrize("action", ["push", "delete"])
def test_what_we_did_ourselves_is_no_news(action: str) -> None:
    ours = distribution_event(action=action) | {"request": {"useragent": "towline/9.9"}}
    others = distribution_event(action=action) | {"request": {"useragent": "docker/27.0 towline/9.9"}}
    translation = read(distribution(ours, others))
    assert len(translation.facts) == 1
    assert translation.passed == ("events.0: our own doing, which the outcomes of transfers tell",)


def test_a_pull_of_something_that_we_cannot_name_does_not_hold_up_a_push() -> None:
    pull = distribution_event(action="pull", target__digest=f"sha384:{'0' * 96}", target__tag=None)
    translation = read(distribution(pull, distribution_event()))
    assert (len(translation.facts), translation.passed_over) == (1, 1)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_both_versions_of_the_content_type_are_read(version: str) -> None:
    headers = {"content-type": f"application/vnd.docker.distribution.events.{version}+json; charset=utf-8"}
    assert len(read(Delivery(headers, distribution(distribution_event()).body)).facts) == 1


def test_another_content_type_is_refused() -> None:
    with pytest.raises(UnusableInputError, match="content type 'text/xml'"):
        read(Delivery({"content-type": "text/xml"}, distribution(distribution_event()).body))


def test_a_delivery_without_a_registry_is_refused() -> None:
    with pytest.raises(UnusableInputError, match="which registry"):
        translate("distribution", distribution(distribution_event()), None)


@pytest.mark.parametrize(
    ("stamp", "instant"),
    [
        ("2026-11-24T07:15:01.123456789Z", "2026-11-24T07:15:01.123456Z"),
        ("2026-11-24T07:15:01Z", "2026-11-24T07:15:01.000000Z"),
        ("2026-11-24t07:15:01.5z", "2026-11-24T07:15:01.500000Z"),
        ("2026-11-24T09:15:01+02:00", "2026-11-24T07:15:01.000000Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_stamps_become_instants_cut_to_microseconds(stamp: str, instant: str) -> None:
    translation = read(distribution(distribution_event(timestamp=stamp)))
    assert translation.facts[0].data.occurred_at == instant
    assert translation.flags == ()


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-11-24T07:15:01",
        "2026-11-24 07:15:01Z",
        "2016-12-31T23:59:60Z",
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2026-11-24T07:15:01.Z",
        "٢٠٢٦-11-24T07:15:01Z",
        "2026-11-24T07:15:01+25:00",
        "yesterday",
        "",
    ],
)
def test_a_bad_stamp_is_flagged_and_does_not_cost_the_event(stamp: str) -> None:
    translation = read(distribution(distribution_event(), distribution_event(timestamp=stamp)))
    assert [fact.data.occurred_at is None for fact in translation.facts] == [False, True]
    assert len(translation.flags) == 1
    assert translation.flags[0].startswith("events.1.timestamp: ")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"id": None}, "events.1.id: "),
        ({"id": ""}, "events.1.id: "),
        ({"id": 7}, "events.1.id: "),
        ({"action": None}, "events.1.action: "),
        ({"timestamp": 7}, "events.1.timestamp: "),
        ({"target": "dev/website"}, "events.1.target: "),
        ({"target__repository": None}, "events.1.target.repository: "),
        ({"target__repository": "Dev/Website"}, "events.1.target.repository: "),
        ({"target__repository": "dev/../website"}, "events.1.target.repository: "),
        ({"target__repository": "a" * 256}, "events.1.target.repository: "),
        ({"target__digest": None}, "events.1.target.digest: "),
        ({"target__digest": "sha256:short"}, "events.1.target.digest: "),
        ({"target__tag": "-1"}, "events.1.target.tag: "),
        ({"target__tag": 1}, "events.1.target.tag: "),
        ({"target__size": -1}, "events.1.target.size: "),
        ({"target__size": 2**53}, "events.1.target.size: "),
        ({"target__size": 1.5}, "events.1.target.size: "),
        ({"target__mediaType": "x" * 257}, "events.1.target.mediaType: "),
        ({"actor": "ci"}, "events.1.actor: "),
        ({"actor__name": "x" * 257}, "events.1.actor.name: "),
    ],
)
def test_one_bad_event_refuses_the_whole_delivery_with_its_path(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(UnusableInputError, match=f"^{path}"):
        read(distribution(distribution_event(), distribution_event(**changes), distribution_event()))


@pytest.mark.parametrize("body", [b"[]", b"{}", b'"events"', b'{"events": {}}', b'{"events": null}', b"7"])
def test_a_body_that_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(UnusableInputError, match="events: "):
        read(Delivery({}, body))


@pytest.mark.parametrize("event", [None, 7, "push", []])
def test_an_event_that_is_no_object_is_refused(event: Any) -> None:
    with pytest.raises(UnusableInputError, match=r"^events\.0: "):
        read(distribution(event))


def test_ten_thousand_events_are_all_read() -> None:
    event = {"action": "delete", "target": {"repository": "a", "tag": "1"}}
    translation = read(distribution(*[{"id": str(number), **event} for number in range(10_000)]))
    assert [fact.delivery_key for fact in translation.facts] == [str(number) for number in range(10_000)]
