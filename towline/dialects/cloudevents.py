"""CloudEvents 1.0 from producers that do not use our code.

Structured mode (content type ``application/cloudevents+json``, or just JSON with ``specversion``), batches of these
(``application/cloudevents-batch+json``), and binary mode with the attributes in headers: ``ce_`` by Kafka, ``ce-`` by
HTTP. See the JSON format and the two protocol bindings at https://github.com/cloudevents/spec.
"""

from typing import Any, Final
from urllib.parse import unquote

from schemas.catalogue import UPCASTS, VERSIONS
from schemas.events import ImageDeleted, ImagePushed
from schemas.inbound import INBOUND_TYPES, InboundEvent
from towline import limits
from towline.dialects.delivery import Delivery, Fact, Translation
from towline.dialects.jsonbytes import read_json, spelled
from towline.dialects.moments import instant_or_none
from towline.dialects.reasons import fitted, shown
from towline.errors import UnusableInputError

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
_KAFKA_PREFIX: Final = "ce_"
_HTTP_PREFIX: Final = "ce-"


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the fact that each event tells.

    Raises:
        UnusableInputError: one is no CloudEvent 1.0, of a type that producers do not write, its data does not fit, or
            it speaks of another registry than ``registry``.
    """
    if delivery.media_type != BATCH:
        fact, flags = _fact(read_event(delivery), registry)
        return Translation((fact,), flags=flags)
    batch = read_json(delivery.body, limits.hook_body_bytes)
    if not isinstance(batch, list):
        raise UnusableInputError("the body of a batch must be a JSON array of events")
    facts: list[Fact] = []
    all_flags: list[str] = []
    for number, attributes in enumerate(batch):
        try:
            fact, flags = _fact(_structured(attributes), registry)
        except UnusableInputError as error:
            raise UnusableInputError(f"{number}: {error}") from None
        facts.append(fact)
        all_flags.extend(f"{number}: {flag}" for flag in flags)
    return Translation(tuple(facts), flags=tuple(all_flags))


def read_event(delivery: Delivery) -> InboundEvent:
    """Return a single event of any type.

    Raises:
        UnusableInputError: it is no CloudEvent 1.0 in structured or binary mode.
    """
    media_type = delivery.media_type
    binary = any(name.startswith((_KAFKA_PREFIX, _HTTP_PREFIX)) for name in delivery.headers)
    if media_type is not None and media_type.startswith("application/cloudevents") and media_type != STRUCTURED:
        raise UnusableInputError(f"content type {shown(media_type)}; known are {BATCH} and {STRUCTURED}")
    if binary and media_type != STRUCTURED:
        return fitted(InboundEvent, _attributes(delivery))
    return _structured(read_json(delivery.body, limits.hook_body_bytes))


def key_of(event: InboundEvent) -> str:
    """Return the name of an event: its id is unique within its source only."""
    return spelled([event.source, event.id])


def _fact(event: InboundEvent, registry: str | None) -> tuple[Fact, tuple[str, ...]]:
    data = _data(event)
    if registry is not None and data.repository.registry != registry:
        raise UnusableInputError(f"data.repository: this sender speaks for registry {registry!r} only")
    flags: tuple[str, ...] = ()
    if event.time is not None and data.occurred_at is None:
        occurred_at = instant_or_none(event.time)
        data = data.model_copy(update={"occurred_at": occurred_at})
        if occurred_at is None:
            flags = (f"time: {shown(event.time)} is not a moment and was left out",)
    return Fact(data, key_of(event)), flags


def _structured(attributes: Any) -> InboundEvent:
    if not isinstance(attributes, dict) or "specversion" not in attributes:
        raise UnusableInputError(
            "not a CloudEvent: neither attributes in ce_ (Kafka) or ce- (HTTP) headers nor a JSON object with "
            '"specversion"'
        )
    if "data_base64" in attributes:
        raise UnusableInputError('data_base64: write the data as a JSON object under "data"')
    return fitted(InboundEvent, attributes)


def _attributes(delivery: Delivery) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for header, value in delivery.headers.items():
        name = header[len(_KAFKA_PREFIX) :]
        if not header.startswith((_KAFKA_PREFIX, _HTTP_PREFIX)):
            continue
        if name in attributes or name in {"data", "data_base64"}:
            raise UnusableInputError(f"{shown(header)}: the attribute occurs twice or is none")
        try:
            # The HTTP binding percent-encodes what a header cannot carry; the Kafka binding writes UTF-8.
            attributes[name] = unquote(value, errors="strict") if header.startswith(_HTTP_PREFIX) else value
        except UnicodeDecodeError:
            raise UnusableInputError(f"{shown(header)}: the percent-encoding is not UTF-8") from None
    version = attributes.get("version")
    if version is not None and version.isascii() and version.isdigit() and len(version) < 10:
        attributes["version"] = int(version)
    attributes["datacontenttype"] = delivery.media_type
    attributes["data"] = read_json(delivery.body, limits.hook_body_bytes)
    return attributes


def _data(event: InboundEvent) -> ImagePushed | ImageDeleted:
    model = INBOUND_TYPES.get(event.type)
    if model is None:
        raise UnusableInputError(f"type: {shown(event.type)} is unknown; known are {', '.join(sorted(INBOUND_TYPES))}")
    current = VERSIONS[event.type]
    if event.version > current:
        raise UnusableInputError(f"version: {event.version} of {event.type} is newer than {current}, the newest known")
    content_type = (event.datacontenttype or "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise UnusableInputError(f"datacontenttype: {shown(content_type)}; the data must be application/json")
    data = event.data
    for version in range(event.version, current):
        data = UPCASTS[event.type, version](data)
    content = fitted(model, data, "data")
    if content.tag is None and content.digest is None:
        raise UnusableInputError("data: name the tag or the digest that was deleted")
    return content
