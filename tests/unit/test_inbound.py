"""A record of towline.inbound is events or a clear refusal (E05, E06)."""

import json

import pytest

from schemas.catalogue import encode
from schemas.events import ImagePushed
from streams.arrival import arrived_at
from streams.inbound import events_from_record
from streams.log import Headers, LogRecord
from tests.unit.dialects.deliveries import binary, distribution, distribution_event, fixture, structured
from towline.dialects import Delivery
from towline.errors import UnusableInputError


def inbound(
    value: bytes | None, headers: Headers = (), *, key: bytes | None = None, timestamp_ms: int = 0
) -> LogRecord:
    return LogRecord("towline.inbound", 3, 17, key, value, headers, timestamp_ms)


def of(delivery: Delivery, *more: tuple[str, bytes]) -> LogRecord:
    return inbound(delivery.body, (*((name, value.encode()) for name, value in delivery.headers.items()), *more))


DISTRIBUTION = (("dialect", b"distribution"), ("registry", b"local"))


@pytest.mark.parametrize("delivery", [structured(), binary("ce_")], ids=["structured", "binary"])
def test_without_a_dialect_it_is_a_cloudevent(delivery: Delivery) -> None:
    record = of(delivery)
    (event,) = events_from_record(record, arrived_at(record))
    assert isinstance(event.data, ImagePushed)
    assert event.source == "towline/inbound"
    assert event.time == "1970-01-01T00:00:00.000000Z"


def test_the_header_names_the_dialect_and_the_registry() -> None:
    record = of(fixture("distribution", "batch"), *DISTRIBUTION)
    events = events_from_record(record, arrived_at(record))
    assert [event.subject for event in events] == ["local/dev/website:2.1", "local/dev/website:2.0"]


def test_a_record_may_tell_nothing_about_a_tag() -> None:
    record = of(fixture("distribution", "push-blob"), *DISTRIBUTION)
    assert events_from_record(record, arrived_at(record)) == []


def test_the_same_record_gives_the_same_bytes_again() -> None:
    record = of(fixture("distribution", "batch"), *DISTRIBUTION)
    first, again = (list(map(encode, events_from_record(record, arrived_at(record)))) for _ in range(2))
    assert first == again


def test_the_same_event_produced_twice_has_the_same_id() -> None:
    first, again = (events_from_record(of(structured()), f"2026-11-24T08:00:0{n}.000000Z")[0] for n in range(2))
    assert first.id == again.id


def test_foreign_headers_and_keys_do_not_matter() -> None:
    plain = of(structured())
    foreign = plain._replace(
        key=b"\xff", headers=(*plain.headers, ("trace", b"\xff\x00"), ("trace", b"\xff"), ("x", b""))
    )
    now = arrived_at(plain)
    assert events_from_record(foreign, now) == events_from_record(plain, now)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (inbound(None), "no value"),
        (inbound(b""), "no value"),
        (inbound(b"{}"), "not a CloudEvent"),
        (inbound(b"{"), "not JSON"),
        (inbound(b'{"specversion": "1.0", "specversion": "1.0"}'), "occurs twice"),
        (of(structured(), ("dialect", b"fax")), "dialect 'fax' is unknown"),
        (of(structured(), ("dialect", b"")), "dialect '' is unknown"),
        (of(structured(), ("dialect", b"\xff")), "header 'dialect' is not UTF-8"),
        (of(structured(), ("dialect", b"cloudevents"), ("Dialect", b"distribution")), "header 'dialect' occurs twice"),
        (of(binary("ce_"), ("ce_id", b"2")), "header 'ce_id' occurs twice"),
        (of(binary("ce_"), ("ce_x", b"\xff")), "header 'ce_x' is not UTF-8"),
        (of(structured(), ("registry", b"other")), "speaks for registry 'other' only"),
        (of(distribution(distribution_event()), ("dialect", b"distribution")), "which registry"),
        (
            of(distribution(distribution_event()), ("dialect", b"distribution"), ("registry", b"../x")),
            r"'\.\./x' is not the name of a registry",
        ),
        (inbound(json.dumps({"specversion": "1.0", "x": "x" * 1024 * 1024}).encode()), "at most 1048576"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(record: LogRecord, reason: str) -> None:
    with pytest.raises(UnusableInputError, match=reason):
        events_from_record(record, arrived_at(record))


@pytest.mark.parametrize(
    ("timestamp_ms", "instant"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1795507200123, "2026-11-24T08:00:00.123000Z"),
        (-1, "1969-12-31T23:59:59.999000Z"),
        (2**63 - 1, "9999-12-31T23:59:59.999000Z"),
        (-(2**63), "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_any_timestamp_of_a_producer_is_an_instant(timestamp_ms: int, instant: str) -> None:
    assert arrived_at(inbound(b"", timestamp_ms=timestamp_ms)) == instant
