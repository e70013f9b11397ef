"""Strategies of records by the schemas of their models: everything that can be decoded, with names that meet."""

from typing import Any

import orjson
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.catalogue import EVENT_TYPES
from schemas.envelope import Envelope
from schemas.references import Frozen
from tests.support.builders import digest

EDGES = (
    "0001-01-01T00:00:00.000000Z",
    "2026-11-24T08:00:00.000000Z",
    "2026-11-24T08:00:00.000001Z",
    "2027-03-28T01:30:00.000000Z",
    "9999-12-31T23:59:59.999999Z",
)
_REPOSITORIES = ("local/dev/app", "local/dev/b", "remote/app")
_TAGS = ("1", "v1.2.3-rc.1", "x" * 128, f"sha256-{'a' * 64}.sig")
_DIGESTS = (digest("one"), digest("two"), f"sha256:{'a' * 64}")
_REFERENCES = tuple(f"{repository}:{tag}" for repository in _REPOSITORIES for tag in _TAGS)
_TEXTS = st.sampled_from(
    ["1", "(", "^1", ">=1.2", "Mon-Fri 09:00-17:00", "22:00-06:00", "Sat 22:00-Mon 02:00", "\\"]
) | (
    st.sampled_from(
        ["2026-12-20/2027-01-02", "0001-01-01/9999-12-31", "2026-02-30/2026-03-01", "é%\x00", "*?[", "linux"]
    )
    | st.text(min_size=1, max_size=5)
)
_NAMED: dict[str, st.SearchStrategy[Any]] = {
    "repository": st.sampled_from(_REPOSITORIES),
    "digest": st.sampled_from(_DIGESTS),
    "previous_digest": st.sampled_from(_DIGESTS),
    "tag": st.sampled_from(_TAGS),
    "carried_from": st.none() | st.sampled_from(_REFERENCES),
    "vulnerability": st.sampled_from(["CVE-1", "CVE-2"]),
    "key": st.sampled_from(["release", "other"]),
    "platform": st.sampled_from(["linux/amd64", "linux/arm/v7"]),
    "timezone": st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "no/where", "../UTC", "a//b"]),
    "revision": st.integers(1, 5),
    "replaces": st.integers(0, 3),
}
_IN_POLICY: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["a", "b", "c"]),
    "source": st.sampled_from([*_REPOSITORIES, "local/dev/*", "local/**", "local/dev/app*"]),
    "target": st.sampled_from([*_REPOSITORIES, "local/qa/{1}", "remote/{repository}", "local/{1}x/{2}"]),
    "tag": st.sampled_from(["%n", "stable", "%n-%f%j", "{1}", "%", "{2}%q", "-%n", "x" * 128]),
}


def of_model(model: type[Frozen]) -> st.SearchStrategy[Frozen]:
    """Return instances of a model, as its JSON schema describes them."""
    schema = model.model_json_schema()
    built = _of(schema, schema.get("$defs", {}), "")
    return built.map(lambda value: _read(model, value)).filter(lambda found: found is not None)


def _read(model: type[Frozen], value: Any) -> Any:
    try:
        return model.model_validate_json(orjson.dumps(value))
    except (ValidationError, TypeError):
        return None  # What a schema cannot say, such as that a day exists.


def _of(schema: dict[str, Any], known: dict[str, Any], place: str) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _of(known[name], known, name)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return st.one_of(*(_of(option, known, place) for option in schema[word]))
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "object":
            return _of_object(schema, known, place)
        case "array":
            size = min(schema.get("maxItems", 3), 3)
            return st.lists(
                _of(schema.get("items", {}), known, place), min_size=schema.get("minItems", 0), max_size=size
            )
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**53 - 1))
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case _:
            return _of_text(schema)


def _of_object(schema: dict[str, Any], known: dict[str, Any], place: str) -> st.SearchStrategy[Any]:
    if "properties" not in schema:
        return st.dictionaries(st.sampled_from(["team", "version"]), _TEXTS, max_size=2)
    named = _NAMED | _IN_POLICY if place == "Policy" else _NAMED
    members = {
        name: named[name] if name in named else _of(member, known, "") for name, member in schema["properties"].items()
    }
    needed = {name: member for name, member in members.items() if name in schema.get("required", ())}
    return st.fixed_dictionaries(needed, optional={name: m for name, m in members.items() if name not in needed})


def _of_text(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    pattern = schema.get("pattern", "")
    if r"T\d{2}" in pattern:
        return st.sampled_from(EDGES)
    if pattern.endswith("a-zA-Z0-9._-]{0,127}"):
        return st.sampled_from(_REFERENCES)
    return st.from_regex(pattern, fullmatch=True) if pattern else _TEXTS


events: st.SearchStrategy[Envelope[Frozen]] = st.builds(
    lambda data, number, time: Envelope(f"{number:064x}", "test", "anything", time, data),
    st.one_of(*(of_model(model) for model in EVENT_TYPES.values())),
    st.integers(0, 1000),
    st.sampled_from(EDGES),
)
"""Events of every type, that only have in common that they can be decoded."""
