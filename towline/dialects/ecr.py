"""Events of Amazon ECR (https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html).

As EventBridge sends them to an API destination, and wrapped by SNS, by SQS, or by both. A topic of SNS asks first if it
may send. ECR does its best to send events and promises none.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from towline import limits
from towline.dialects.amazon import confirmation, unwrapped
from towline.dialects.delivery import Delivery, Translation
from towline.dialects.jsonbytes import read_json
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted, shown
from towline.dialects.telling import Telling, at, only_handshake
from towline.errors import UnusableInputError

_PATHS: Final = {
    "repository": "repository-name",
    "tag": "image-tag",
    "digest": "image-digest",
    "media_type": "manifest-media-type",
    "counts": "finding-severity-counts",
}

_PASSED: Final[Mapping[str, str]] = {
    "ECR Referrer Action": "a referrer belongs to its image, and is found there",
    "ECR Artifact Action": "an artifact other than an image",
    "ECR Scan Resource Change": "it is about how images are scanned",
    "ECR Scan Frequency Change": "it is about how images are scanned",
}


class _Event(Part):
    id: Annotated[str, Field(min_length=1)]
    source: str
    detail_type: Annotated[str, Field(alias="detail-type")]
    time: str | None = None
    detail: dict[str, Any]


class _Action(Part):
    repository: Annotated[str, Field(alias="repository-name")]
    tag: Annotated[str | None, Field(alias="image-tag")] = None
    digest: Annotated[str | None, Field(alias="image-digest")] = None
    media_type: Annotated[str | None, Field(alias="manifest-media-type")] = None
    action: Annotated[str | None, Field(alias="action-type")] = None
    result: str | None = None
    sync_status: Annotated[str | None, Field(alias="sync-status")] = None


class _Scan(Part):
    repository: Annotated[str, Field(alias="repository-name")]
    digest: Annotated[str, Field(alias="image-digest")]
    status: Annotated[str, Field(alias="scan-status")]
    counts: dict[str, int] = Field(alias="finding-severity-counts", default_factory=dict)


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return what was pushed and deleted, and which scans ended; or the question of a topic.

    Raises:
        UnusableInputError: no registry is given, what is delivered is none of ECR's events, or one cannot be used.
    """
    telling = Telling("ecr", registry, _PATHS)
    value = read_json(delivery.body, limits.hook_body_bytes)
    handshake = confirmation(value)
    if handshake is not None:
        return only_handshake(handshake)
    if isinstance(value, dict) and value.get("Type") == "UnsubscribeConfirmation":
        telling.passed("", "the topic sends no more")
        return telling.translation()
    for path, raw in unwrapped(value):
        event = fitted(_Event, raw, path)
        if event.source != "aws.ecr":
            raise UnusableInputError(f"{at(path, 'source')}: {shown(event.source)}, where aws.ecr should be")
        _tell(telling, event, path)
    return telling.translation()


def _tell(telling: Telling, event: _Event, path: str) -> None:
    reader = _READERS.get(event.detail_type)
    if event.detail_type in _PASSED:
        telling.passed(path, _PASSED[event.detail_type])
    elif reader is None:
        # What is new at ECR must not hold up what came along with it.
        telling.passed(path, f"detail-type {shown(event.detail_type)} neither pushes nor deletes nor scans")
    else:
        reader(telling, event, path)


def _read_action(telling: Telling, event: _Event, path: str) -> None:
    detail = at(path, "detail")
    action = fitted(_Action, event.detail, detail)
    if "SUCCESS" not in {action.result, action.sync_status}:
        telling.passed(path, f"it came to nothing: {shown(action.result or action.sync_status or '')}")
        return
    members = {
        "tag": action.tag,
        "digest": action.digest,
        "occurred_at": telling.moment(at(path, "time"), event.time),
    }
    # What a cache took in has no type of action.
    if action.action == "DELETE":
        if not (action.tag or action.digest):
            raise UnusableInputError(f"{detail}: neither a tag nor a digest says what was deleted")
        telling.deleted(event.id, detail, action.repository, **members)
    elif action.action not in {"PUSH", "REPLICATE", None}:
        raise UnusableInputError(f"{detail}.action-type: {shown(action.action)}; known are DELETE, PUSH, REPLICATE")
    elif not action.tag:
        telling.passed(path, "pushed by its digest, under no tag")
    else:
        telling.pushed(event.id, detail, action.repository, media_type=action.media_type, **members)


def _read_scan(telling: Telling, event: _Event, path: str) -> None:
    detail = at(path, "detail")
    scan = fitted(_Scan, event.detail, detail)
    if scan.status not in {"COMPLETE", "FAILED"}:
        telling.passed(path, f"the scan has not ended: {shown(scan.status)}")
        return
    telling.scanned(
        event.id,
        detail,
        scan.repository,
        digest=scan.digest,
        succeeded=scan.status == "COMPLETE",
        scanner="ecr",
        counts={band.lower(): count for band, count in scan.counts.items()},
        occurred_at=telling.moment(at(path, "time"), event.time),
    )


_READERS: Final[Mapping[str, Callable[[Telling, _Event, str], None]]] = {
    "ECR Image Action": _read_action,
    "ECR Replication Action": _read_action,
    "ECR Pull Through Cache Action": _read_action,
    "ECR Image Scan": _read_scan,
}
