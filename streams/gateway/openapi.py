"""What the gateway serves, as an OpenAPI document."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from streams.gateway.answers import JsonAnswer
from streams.gateway.api_document import api_document
from towline import limits

DOCUMENT_PATH: Final = "/api/openapi.json"

_ERROR: Final = {"$ref": "#/components/schemas/Error"}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}


def _json(description: str, schema: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": {"application/json": {"schema": schema}}}
    return answer | ({"headers": dict(headers)} if headers else {})


def _object(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


_NOT_FOUND: Final = _json("There is no such hook in the settings.", _ERROR)
_UNAUTHORIZED: Final = _json(
    "The sender is not the hook's. The same whatever was wrong.",
    _ERROR,
    {"WWW-Authenticate": {"schema": {"type": "string"}}},
)

_DELIVER: Final = {
    "operationId": "deliver",
    "summary": "Tell what happened, in the dialect of the hook.",
    "requestBody": {
        "description": f"At most {limits.hook_body_bytes} bytes, without Content-Encoding.",
        "required": True,
        "content": {"application/json": {"schema": {}}, "*/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    "responses": {
        "200": {
            "description": "A handshake, answered as its sender's protocol has it.",
            "content": {"*/*": {"schema": {}}},
        },
        "202": _json("All of the delivery is in the log.", {"$ref": "#/components/schemas/Accepted"}),
        "400": _json("The delivery cannot be used; nothing of it is in the log.", _ERROR),
        "401": _UNAUTHORIZED,
        "404": _NOT_FOUND,
        "408": _json(f"The body was not complete within {limits.hook_body_timeout_seconds:g} seconds.", _ERROR),
        "413": _json("The body is too large.", _ERROR),
        "415": _json("The body has a Content-Encoding.", _ERROR),
        "429": _json("More deliveries than the hook's rate.", _ERROR, _RETRY_AFTER),
        "503": _json("The log did not acknowledge: send it again, it will have the same ids.", _ERROR, _RETRY_AFTER),
    },
}
_ASK: Final = {
    "operationId": "ask",
    "summary": "Ask if deliveries are wanted (CloudEvents, HTTP 1.1 Web Hooks for Event Delivery).",
    "parameters": [
        {
            "name": "WebHook-Request-Origin",
            "in": "header",
            "required": True,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$"},
        },
        {"name": "WebHook-Request-Rate", "in": "header", "schema": {"type": "string"}},
    ],
    "responses": {
        "200": {
            "description": "They are.",
            "headers": {
                "Allow": {"schema": {"type": "string"}},
                "WebHook-Allowed-Origin": {"schema": {"type": "string"}},
                "WebHook-Allowed-Rate": {"schema": {"type": "string"}},
            },
        },
        "400": _json("The request does not say who wants to send.", _ERROR),
        "401": _UNAUTHORIZED,
        "404": _NOT_FOUND,
    },
}


def _hook(suffix: str, *parameters: str) -> dict[str, Any]:
    named = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters]
    return {
        "parameters": named,
        "post": _DELIVER | {"operationId": f"deliver{suffix}"},
        "options": _ASK | {"operationId": f"ask{suffix}"},
    }


def _status(operation: str, summary: str, word: str, **others: Any) -> dict[str, Any]:
    answer = _json(summary, _object(status={"const": word}))
    return {"get": {"operationId": operation, "summary": summary, "responses": {"200": answer, **others}}}


def document() -> dict[str, Any]:
    """Return the document, in OpenAPI 3.1."""
    text = {"type": "string"}
    away = _json("The log is away, or its topics are not as they must be.", _ERROR, _RETRY_AFTER)
    metrics = {"description": "Metrics.", "content": {CONTENT_TYPE_LATEST: {"schema": text}}}
    this = _json("This document.", {"type": "object"})
    paths, schemas = api_document()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Towline gateway",
            "version": version("towline"),
            "description": "Webhooks of registries, and for readers what became of them. Every error has a reason.",
        },
        "paths": {
            "/hooks/{source}": _hook("", "source"),
            "/hooks/{source}/{secret}": _hook("ByAddress", "source", "secret"),
            "/healthz": _status("alive", "The process runs.", "alive"),
            "/readyz": _status("ready", "Deliveries can be taken.", "ready", **{"503": away}),
            "/metrics": {"get": {"operationId": "metrics", "summary": "Metrics.", "responses": {"200": metrics}}},
            DOCUMENT_PATH: {
                "get": {"operationId": "document", "summary": "This document.", "responses": {"200": this}}
            },
            **paths,
        },
        "components": {
            "securitySchemes": {"reader": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Accepted": _object(
                    events={"type": "array", "items": text, "description": "The ids of the events, in order."},
                    passed_over={
                        "type": "integer",
                        "minimum": 0,
                        "description": "Parts that tell nothing about a tag.",
                    },
                    flags={"type": "array", "items": text, "description": "What was wrong, and could be left out."},
                ),
                "Error": _object(error=_object(reason={**text, "minLength": 1})),
                **schemas,
            },
        },
    }


async def answer_document(_: Request) -> Response:
    """Answer with the document."""
    return JsonAnswer(document())
