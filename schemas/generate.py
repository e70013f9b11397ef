"""``python -m schemas.generate`` writes the published contract under ``docs``: JSON Schemas and the AsyncAPI file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel

from schemas.asyncapi import asyncapi_document, message_name
from schemas.catalogue import TYPES, VERSIONS, encode
from schemas.editor import editor_schema, subscriptions_schema
from schemas.envelope import WireEnvelope
from schemas.examples import EXAMPLES
from schemas.inbound import INBOUND_TYPES, InboundEvent

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def documents() -> Mapping[str, str]:
    """Return the text of each document by its path below ``docs``."""
    found = {f"schemas/{message_name(type_)}.json": _record_schema(type_) for type_ in TYPES}
    found["schemas/inbound.json"] = _inbound_schema()
    found["schemas/policies.json"] = editor_schema() | _head("policies", "A policy file")
    found["schemas/subscriptions.json"] = subscriptions_schema() | _head("subscriptions", "A file of subscriptions")
    found["asyncapi.json"] = asyncapi_document()
    return {path: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for path, document in found.items()}


def write(directory: Path) -> None:
    """Write all documents below ``directory``."""
    for path, text in documents().items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _head(name: str, title: str) -> dict[str, Any]:
    return {"$schema": _DIALECT, "$id": f"urn:towline:{name}", "title": title}


def _record_schema(type_: str) -> dict[str, Any]:
    envelope = WireEnvelope.model_json_schema()
    model = TYPES[type_]
    envelope["properties"] |= {
        "type": {"const": type_},
        "version": {"const": VERSIONS[type_]},
        "data": {"$ref": f"#/$defs/{model.__name__}"},
    }
    envelope |= _head(f"{type_}:v{VERSIONS[type_]}", message_name(type_)) | {
        "description": f"{model.__doc__}\n\nThe data of a CloudEvent 1.0 in structured mode.",
        "$defs": _definitions(model),
        "examples": [orjson.loads(encode(EXAMPLES[type_]))],
    }
    return envelope


def _inbound_schema() -> dict[str, Any]:
    event = InboundEvent.model_json_schema()
    event["properties"] |= {
        "type": {"enum": sorted(INBOUND_TYPES)},
        "data": {"anyOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in INBOUND_TYPES.values()]},
    }
    definitions: dict[str, Any] = {}
    for model in INBOUND_TYPES.values():
        definitions |= _definitions(model)
    event |= _head("inbound", "What producers write to towline.inbound") | {
        "allOf": [
            {
                "if": {"properties": {"type": {"const": type_}}},
                "then": {"properties": {"data": {"$ref": f"#/$defs/{model.__name__}"}}},
            }
            for type_, model in INBOUND_TYPES.items()
        ],
        "$defs": definitions,
    }
    return event


def _definitions(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    return {**definitions, model.__name__: schema}


if __name__ == "__main__":
    write(Path("docs"))
