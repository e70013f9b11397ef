"""The part of the OpenAPI document about ``/api/v1``: its schemas are those of what is answered."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter

from streams.audit.explain import Explanation
from streams.audit.trail import TrailEntry
from streams.gateway.api import Decided
from streams.gateway.questions import Descent, Policies
from streams.projection.asking import FILTERS
from towline import limits

_ERROR: Final = {"$ref": "#/components/schemas/Error"}
_REF: Final = "#/components/schemas/{model}"

_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "from": "What was recorded from this moment on: 2026-11-24, or 2026-11-24T08:00Z.",
    "to": "What was recorded before this moment.",
    "actor": "What this person or account did.",
    "policy": "What is about this policy.",
    "verdict": "Decisions with this verdict.",
    "outcome": "Ends of commands: completed, skipped or failed.",
    "type": "Records of this type, such as approval.granted.",
    "repository": "A repository as source or target, or a glob of them, such as local/dev/*.",
    "reference": "REGISTRY/REPOSITORY:TAG as source or target.",
    "digest": "What names this digest.",
}

#: The kinds of answers, by the member that has them.
_ANSWERS: Final[Mapping[str, Any]] = {
    "trail": list[TrailEntry],
    "decisions": list[Decided],
    "explanation": Explanation,
    "in_force": Policies,
}


def _json(description: str, schema: Mapping[str, Any], **headers: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": {"application/json": {"schema": schema}}}
    return answer | ({"headers": headers} if headers else {})


_REFUSALS: Final = {
    "400": _json("A parameter cannot be used; the reason begins with its name.", _ERROR),
    "401": _json(
        "The reader is not known. The same whatever was wrong.",
        _ERROR,
        **{"WWW-Authenticate": {"schema": {"type": "string"}}},
    ),
    "403": _json("The settings name no readers, so nobody may read.", _ERROR),
    "503": _json(
        "The read side is not there yet, or cannot be used now.",
        _ERROR,
        **{"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}},
    ),
}


def _query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string", **schema}}


_PAGING: Final = [
    {
        "name": "limit",
        "in": "query",
        "description": "How many at once.",
        "schema": {"type": "integer", "minimum": 1, "maximum": limits.page_max_count, "default": limits.page_count},
    },
    _query("order", "What comes first.", enum=["newest", "oldest"], default="newest"),
    _query("cursor", "Where to go on: the page before tells it. With the same filters and order only."),
]


def _get(operation: str, summary: str, schema: Mapping[str, Any], *parameters: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation,
        "summary": summary,
        "security": [{"reader": []}],
        "responses": {"200": _json(summary, schema), **_REFUSALS},
    }
    return {"get": found | ({"parameters": list(parameters)} if parameters else {})}


def _object(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


@cache
def api_document() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the paths, and the schemas that they name."""
    components: dict[str, Any] = {}

    def part(kind: Any) -> Any:
        schema = TypeAdapter(kind).json_schema(mode="serialization", ref_template=_REF)
        components.update(schema.pop("$defs", {}))
        return schema

    descent = part(Descent)["properties"]
    as_of = {
        "type": "object",
        "description": "How far the log was read: of each topic the next offset of each partition.",
        "additionalProperties": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    }
    answers = {name: part(kind) for name, kind in _ANSWERS.items()}
    cursor = {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Where to go on; null at the end."}
    filters = [_query(name, _DESCRIPTIONS[name]) for name in FILTERS]
    path = {"in": "path", "required": True, "schema": {"type": "string"}}
    trail = _object(as_of=as_of, trail=answers["trail"], cursor=cursor)
    decisions = _object(as_of=as_of, decisions=answers["decisions"], cursor=cursor)
    explanation = _object(as_of=as_of, explanation=answers["explanation"])
    lineage = _object(as_of=as_of, lineage=descent["lineage"], origin=descent["origin"])
    policies = _object(as_of=as_of, in_force=answers["in_force"])
    paths = {
        "/api/v1/trail": _get("trail", "What happened.", trail, *filters, *_PAGING),
        "/api/v1/decisions": _get("decisions", "Decisions, whole.", decisions, *filters, *_PAGING),
        "/api/v1/policies": _get("policies", "The policies in force.", policies),
        "/api/v1/explain/{reference}": {
            "parameters": [{"name": "reference", "description": "REGISTRY/REPOSITORY:TAG, with its slashes.", **path}],
            **_get("explain", "Why a tag is what it is, and what each policy makes of it.", explanation),
        },
        "/api/v1/lineage/{of}": {
            "parameters": [{"name": "of", "description": "A digest, or REGISTRY/REPOSITORY:TAG.", **path}],
            **_get("lineage", "Where an image came to; of a tag, from where it has what it has.", lineage),
        },
    }
    return paths, components
