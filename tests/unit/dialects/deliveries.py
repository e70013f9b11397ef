"""Deliveries for the tests of dialects, from the fixtures and made up."""

import json
from pathlib import Path
from typing import Any

from schemas.canonical import sha256_hex
from towline.dialects import Delivery

FIXTURES = Path(__file__).parents[2] / "fixtures" / "dialects"
DIGEST = f"sha256:{sha256_hex(b'manifest')}"


def fixture(dialect: str, name: str) -> Delivery:
    return delivery_of(json.loads((FIXTURES / dialect / f"{name}.json").read_text(encoding="utf-8")))


def delivery_of(content: dict[str, Any]) -> Delivery:
    headers = {header.lower(): value for header, value in content["headers"].items()}
    raw: str | None = content.get("_raw")
    return Delivery(headers, (json.dumps(content["body"]) if raw is None else raw).encode())


def distribution_event(**changes: Any) -> dict[str, Any]:
    """A push of a tag; ``target__tag=...`` changes a nested member, None removes one."""
    event: dict[str, Any] = {
        "id": "one",
        "timestamp": "2026-11-24T07:15:01.123456789Z",
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 557,
            "digest": DIGEST,
            "repository": "dev/website",
            "tag": "1.0",
        },
        "actor": {"name": "ci"},
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = event
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return event


def distribution(*events: Any) -> Delivery:
    return Delivery({}, json.dumps({"events": events}).encode())


def push_data(**changes: Any) -> dict[str, Any]:
    return {"repository": "local/dev/website", "tag": "1.0", "digest": DIGEST, **changes}


def cloud_event(**changes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": "1", "source": "ci", "type": "image.pushed", "data": push_data(), **changes}
    return {name: value for name, value in event.items() if value is not None}


def structured(**changes: Any) -> Delivery:
    return Delivery({"content-type": "application/cloudevents+json"}, json.dumps(cloud_event(**changes)).encode())


def binary(prefix: str, **changes: Any) -> Delivery:
    event = cloud_event(**changes)
    data = event.pop("data")
    headers = {f"{prefix}{name}": value for name, value in event.items()}
    return Delivery({"content-type": "application/json", **headers}, json.dumps(data).encode())
