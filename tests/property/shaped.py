"""Records by the schemas of their models: everything that can be decoded, with names that meet.

Drawn from a seed: what hypothesis would have to draw by itself, choice by choice, takes it far longer than the core.
"""

import re
from functools import lru_cache
from random import Random
from typing import Any

import orjson
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
_REFERENCES = tuple(f"{repository}:{tag}" for repository in _REPOSITORIES for tag in _TAGS)
#: Whatever fits a pattern is taken for it.
_TEXTS = (
    *EDGES, *_REPOSITORIES, *_TAGS, *_REFERENCES, digest("one"), digest("two"), "a" * 64, "a", "b", "CVE-1", "CVE-2",
    "linux/amd64", "linux/arm/v7", "0", "1", "2", "99", "999999999999999", "5 GiB", "1kB", "0s", "1us", "1h30m",
    "0.5s", "999999999w", "5200w", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2026-02-30T00:00:00Z",
    "2026-11-24T08:00:00.1+01:00", "(", "^1", ">=1.2", "1.x || 2", "Mon-Fri 09:00-17:00", "22:00-06:00",
    "Sat 22:00-Mon 02:00", "2026-12-20/2027-01-02", "0001-01-01/9999-12-31", "1970-01-01/9000-12-31",
    "2026-02-30/2026-03-01", "\\", "*?[", "é%\x00", "MIT", "never", "10%", "6h",
)  # fmt: skip
_NAMED: dict[str, tuple[Any, ...]] = {
    "repository": _REPOSITORIES,
    "tag": _TAGS,
    "carried_from": (None, *_REFERENCES),
    "key": ("release", "other"),
    "timezone": ("UTC", "Europe/Berlin", "Pacific/Apia", "no/where", "../UTC", "a//b"),
    "revision": (1, 2, 3, 4, 5),
    "replaces": (0, 1, 2),
    "policy": ("a", "b"),
}
_IN_POLICY: dict[str, tuple[Any, ...]] = {
    "name": ("a", "b", "c"),
    "source": (*_REPOSITORIES, "local/dev/*", "local/**", "local/dev/app*"),
    "target": (*_REPOSITORIES, "local/qa/{1}", "remote/{repository}", "local/{1}x/{2}"),
    "tag": ("%n", "stable", "%n-%f%j", "{1}", "%", "{2}%q", "-%n", "x" * 128),
}


def random_event(random: Random) -> Envelope[Frozen]:
    """Return an event of any type, of which nothing is known but that it can be decoded."""
    while True:
        model = random.choice(list(EVENT_TYPES.values()))
        schema = _schema(model)
        value = _value(random, schema, schema.get("$defs", {}), "")
        try:
            data = model.model_validate_json(orjson.dumps(value))
        except ValidationError:
            continue  # What a schema cannot say, such as that a day exists.
        return Envelope(f"{random.randrange(1000):064x}", "test", "anything", random.choice(EDGES), data)


def _value(random: Random, schema: dict[str, Any], known: dict[str, Any], place: str) -> Any:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _value(random, known[name], known, name)
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return _value(random, random.choice(options), known, place)
    if "const" in schema or "enum" in schema:
        return random.choice(schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "object":
            return _object(random, schema, known, place)
        case "array":
            sizes = range(schema.get("minItems", 0), min(schema.get("maxItems", 3), 3) + 1)
            return [_value(random, schema.get("items", {}), known, place) for _ in range(random.choice(sizes))]
        case "integer":
            return random.choice((schema.get("minimum", 0), 7, 70, 100, schema.get("maximum", 2**53 - 1)))
        case "boolean":
            return random.choice((True, False))
        case "null":
            return None
        case _:
            return random.choice(_fitting(schema.get("pattern", "")))


def _object(random: Random, schema: dict[str, Any], known: dict[str, Any], place: str) -> dict[str, Any]:
    if "properties" not in schema:
        return {name: random.choice(_TEXTS) for name in random.sample(["team", "version"], random.randrange(3))}
    named = _NAMED | _IN_POLICY if place == "Policy" else _NAMED
    return {
        name: random.choice(named[name]) if name in named else _value(random, member, known, "")
        for name, member in schema["properties"].items()
        if name in schema.get("required", ()) or random.random() < 0.5
    }


@lru_cache
def _schema(model: type[Frozen]) -> dict[str, Any]:
    return model.model_json_schema()


@lru_cache
def _fitting(pattern: str) -> tuple[str, ...]:
    return tuple(text for text in _TEXTS if re.search(pattern, text))
