"""Push notifications in the envelope of CNCF distribution."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from starlette.requests import Request

from streams.local_registry.store import StoredManifest


def push_notification(
    request: Request, repository: str, tag: str | None, digest: str, manifest: StoredManifest
) -> dict[str, Any]:
    """Return the envelope that tells of a pushed manifest; without ``tag`` when it was pushed by digest."""
    target: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "size": len(manifest.content),
        "digest": digest,
        "length": len(manifest.content),
        "repository": repository,
        "url": f"{request.base_url}v2/{repository}/manifests/{digest}",
        "references": manifest.references(),
    }
    if tag is not None:
        target["tag"] = tag
    client = request.client
    host = request.headers.get("host", "")
    event = {
        "id": str(uuid4()),
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "action": "push",
        "target": target,
        "request": {
            "id": str(uuid4()),
            "addr": f"{client.host}:{client.port}" if client else "",
            "host": host,
            "method": request.method,
            "useragent": request.headers.get("user-agent", ""),
        },
        "actor": {},
        "source": {"addr": host, "instanceID": "local"},
    }
    return {"events": [event]}
