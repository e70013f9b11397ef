"""The envelope of Docker Trusted Registry (Mirantis Secure Registry 2 and 3), for receivers that were made for it.

``{"type", "createdAt", "contents", "location"}`` with its names of types and members
(https://docs.mirantis.com/msr/2.9/ops/manage-webhooks.html). What the log does not know is the empty text.
"""

from collections.abc import Mapping
from typing import Any, Final

from schemas.events import ImageDeleted, ImageObserved, ImagePushed, TagRemoved, TransferCompleted
from schemas.facts import ScanCompleted, ScanNoticed
from schemas.references import Reference, Repository
from schemas.webhooks import Notified
from towline.notify.bands import bands_of
from towline.notify.causes import Cause

#: What there is a type for; a subscription to anything else in this format is refused.
TYPED: Final[frozenset[Notified]] = frozenset(
    {"image.pushed", "image.deleted", "tag.removed", "scan.completed", "scan.noticed", "transfer.completed"}
)
#: The state of a scan that has its results (``last_scan_status``).
_SCANNED: Final = 6


def envelope_of(cause: Cause) -> Mapping[str, Any] | None:
    """Return the envelope for a cause, or None when there was no type for it."""
    data, time = cause.record.data, cause.record.time
    match data:
        case ImagePushed() | ImageObserved():
            when = {"pushedAt": getattr(data, "occurred_at", None) or time}
            return _envelope("TAG_PUSH", cause, data.repository, data.tag, _image(data) | when)
        case ImageDeleted():
            when = {"deletedAt": data.occurred_at or time}
            return _envelope("TAG_DELETE", cause, data.repository, data.tag, _image(data) | when)
        case TagRemoved():
            place = data.target
            removed = _tag(place.repository, place.tag, data.digest, data.pushed_by) | {"deletedAt": time}
            return _envelope("TAG_DELETE", cause, place.repository, place.tag, removed)
        case ScanCompleted() | ScanNoticed():
            return _scan(cause)
        case TransferCompleted():
            return _transfer(cause, data)
        case _:
            return None


def _envelope(
    type_: str, cause: Cause, repository: Repository, tag: str | None, contents: Mapping[str, Any]
) -> Mapping[str, Any]:
    return {
        "type": type_,
        "createdAt": cause.record.time,
        "contents": contents,
        "location": f"/repositories/{repository.name}" + (f"/tags/{tag}" if tag else ""),
    }


def _names(repository: Repository, tag: str | None) -> dict[str, Any]:
    namespace, slash, name = repository.name.partition("/")
    return {"namespace": namespace if slash else "", "repository": name or namespace, "tag": tag or ""}


def _tag(repository: Repository, tag: str | None, digest: str | None, author: str | None) -> dict[str, Any]:
    return {
        **_names(repository, tag),
        "digest": digest or "",
        # The host is in the settings, and hosts change: its place is taken by the registry's name there.
        "imageName": f"{repository}:{tag}" if tag else f"{repository}@{digest}",
        "os": "",
        "architecture": "",
        "author": author or "",
    }


def _image(data: ImagePushed | ImageObserved | ImageDeleted) -> dict[str, Any]:
    return _tag(data.repository, data.tag, data.digest, data.actor)


def _scan(cause: Cause) -> Mapping[str, Any]:
    data: ScanCompleted | ScanNoticed = cause.record.data
    tag = data.tag if isinstance(data, ScanNoticed) else None
    names = _names(data.repository, tag)
    contents = {**names, "imageName": f"{data.repository}:{tag}" if tag else f"{data.repository}@{data.digest}"}
    counts = bands_of(data)
    if counts is None:
        failed = {**contents, "error": f"{data.scanner or 'the scanner'} reports that the scan failed"}
        return _envelope("SCAN_FAILED", cause, data.repository, tag, failed)
    checked = data.occurred_at or cause.record.time
    summary = {**names, **counts, "last_scan_status": _SCANNED, "check_completed_at": checked}
    return _envelope("SCAN_COMPLETED", cause, data.repository, tag, {**contents, "scanSummary": summary})


def _transfer(cause: Cause, data: TransferCompleted) -> Mapping[str, Any]:
    target, time = data.target, cause.record.time
    if data.source.repository.registry == target.repository.registry:
        promoted = {
            "promotionPolicyID": data.policy,
            "digest": data.arrived_digest,
            **_side("source", data.source),
            **_side("target", target),
            "promotedAt": time,
        }
        return _envelope("PROMOTION", cause, target.repository, target.tag, promoted)
    local, remote = (target, data.source) if cause.is_polled else (data.source, target)
    mirrored = {
        "mirroringPolicyID": data.policy,
        "digest": data.arrived_digest,
        **_side("local", local),
        **_side("remote", remote),
        "mirroredAt": time,
    }
    type_ = "POLL_MIRRORING" if cause.is_polled else "PUSH_MIRRORING"
    return _envelope(type_, cause, local.repository, local.tag, mirrored)


def _side(name: str, reference: Reference) -> dict[str, str]:
    return {f"{name}Repository": reference.repository.name, f"{name}Tag": reference.tag}
