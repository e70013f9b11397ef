"""The AsyncAPI document (https://www.asyncapi.com/docs/reference/specification/v3.0.0): topics and messages."""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from schemas.catalogue import (
    CHECKPOINT_TYPES,
    COMMAND_TYPES,
    DEADLETTER_TYPES,
    DECISION_TYPES,
    EVENT_TYPES,
    TYPES,
    VERSIONS,
    encode,
)
from schemas.examples import EXAMPLES
from schemas.inbound import INBOUND_TYPES

#: The values of header ``dialect`` on ``towline.inbound``.
DIALECTS: Final = (
    "acr",
    "aliyun",
    "cloudevents",
    "distribution",
    "dockerhub",
    "dtr",
    "ecr",
    "gar",
    "ghcr",
    "harbor",
    "jfrog",
    "jfrog-subdomain",
    "nexus",
    "nexus-path",
    "quay",
    "zot",
)

_SCHEMA_FORMAT: Final = "application/schema+json;version=draft-2020-12"

_INBOUND_MESSAGES: Final = ("inbound.structured", "inbound.binary", "inbound.dialect")


_TEXT: Final = {"type": "string"}

_BINARY_HEADERS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": _TEXT,
        "ce_source": _TEXT,
        "ce_type": {"enum": sorted(INBOUND_TYPES)},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": _TEXT,
    },
}

_DIALECT_HEADERS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["dialect"],
    "properties": {
        "dialect": {"enum": list(DIALECTS)},
        "registry": {"type": "string", "description": "The name in the settings of the registry that sent it."},
    },
}


def message_name(type_: str) -> str:
    """Return the name of a type's current version, such as ``image.pushed.v1``."""
    return f"{type_}.v{VERSIONS[type_]}"


#: From each topic to who may read or write it, and its messages.
CHANNELS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "towline.inbound": (
        "Pushes from Kafka producers, under any key: CloudEvents 1.0, structured or binary, or a vendor's payload with "
        "header dialect. Kept for 7 days; what cannot be used goes to towline.deadletters.",
        _INBOUND_MESSAGES,
    ),
    "towline.events": (
        "The log: every fact that a decision may look at. Key: repository. Kept for ever.",
        tuple(map(message_name, EVENT_TYPES)),
    ),
    "towline.decisions": (
        "Every decision, negative ones too, with the finding of each rule. Key: repository. Kept for ever. Delivered "
        "at least once: equal ids are the same decision.",
        tuple(map(message_name, DECISION_TYPES)),
    ),
    "towline.commands": (
        "What is to be done, one writer for each target. Key: target repository. Kept for ever.",
        tuple(map(message_name, COMMAND_TYPES)),
    ),
    "towline.deadletters": (
        "What could not be used, why, and its bytes. Key: as the input. The input's headers are headers prefixed with "
        "'input.'. Kept for ever.",
        tuple(map(message_name, DEADLETTER_TYPES)),
    ),
    "towline.checkpoints": (
        "Signed commitments over the decisions. Key: partition. Kept for ever. Equal ids are the same checkpoint.",
        tuple(map(message_name, CHECKPOINT_TYPES)),
    ),
}


def asyncapi_document() -> dict[str, Any]:
    """Return the document, seen from Towline: it receives what is inbound and sends the rest."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Towline",
            "version": "1",
            "description": "Topics of Towline. Values are CloudEvents 1.0 in JSON; a shape never changes, a new one "
            "gets a new version. Ours are canonical (RFC 8785) and their ids derive from their content.",
        },
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic, text, names) for topic, (text, names) in CHANNELS.items()},
        "operations": {
            topic.partition(".")[2]: {
                "action": "receive" if topic == "towline.inbound" else "send",
                "channel": {"$ref": f"#/channels/{topic}"},
            }
            for topic in CHANNELS
        },
        "components": {
            "messages": {**_inbound_messages(), **{message_name(type_): _message(type_) for type_ in TYPES}}
        },
    }


def _channel(topic: str, description: str, names: Iterable[str]) -> dict[str, Any]:
    return {
        "address": topic,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": {"topic": topic}},
    }


def _payload(schema: dict[str, Any]) -> dict[str, Any]:
    return {"schemaFormat": _SCHEMA_FORMAT, "schema": schema}


def _message(type_: str) -> dict[str, Any]:
    return {
        "name": type_,
        "title": message_name(type_),
        "summary": (TYPES[type_].__doc__ or "").partition("\n")[0],
        "contentType": "application/json",
        "payload": _payload({"$ref": f"./schemas/{message_name(type_)}.json"}),
        "examples": [{"payload": orjson.loads(encode(EXAMPLES[type_]))}],
    }


def _inbound_messages() -> dict[str, Any]:
    data = orjson.loads(encode(EXAMPLES["image.pushed"]))["data"]
    attributes = {"specversion": "1.0", "id": "build-4711", "source": "https://ci.example.com/website"}
    structured_example = {**attributes, "type": "image.pushed", "data": data}
    binary_example = {f"ce_{name}": value for name, value in {**attributes, "type": "image.pushed"}.items()}
    return {
        "inbound.structured": {
            "title": "A CloudEvent in structured mode",
            "contentType": "application/cloudevents+json",
            "payload": _payload({"$ref": "./schemas/inbound.json"}),
            "examples": [{"payload": structured_example}],
        },
        "inbound.binary": {
            "title": "A CloudEvent in binary mode: attributes in headers, the data as value",
            "contentType": "application/json",
            "headers": _payload(_BINARY_HEADERS),
            "payload": _payload({"$ref": "./schemas/inbound.json#/properties/data"}),
            "examples": [{"headers": {**binary_example, "content-type": "application/json"}, "payload": data}],
        },
        "inbound.dialect": {
            "title": "A vendor's webhook body, as it was sent",
            "contentType": "application/json",
            "headers": _payload(_DIALECT_HEADERS),
            "payload": _payload({"type": "object"}),
            "examples": [{"headers": {"dialect": "distribution", "registry": "local"}, "payload": {"events": []}}],
        },
    }
