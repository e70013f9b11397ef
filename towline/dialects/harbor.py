"""Harbor's webhooks (https://goharbor.io/docs/latest/working-with-projects/project-configuration/configure-webhooks/).

In its default form, ``{"type", "occur_at", "operator", "event_data"}``, and as CloudEvents. Harbor sends one event for
each artifact that replication or retention moved or removed, so the events about those as a whole tell nothing more.
"""

from collections.abc import Mapping
from typing import Any, Final

from towline.dialects.cloudevents import key_of, read_event
from towline.dialects.delivery import Delivery, Translation
from towline.dialects.jsonbytes import read_object, spelled
from towline.dialects.moments import instant_of_seconds
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted, shown
from towline.dialects.telling import Telling, at, is_digest
from towline.errors import UnusableInputError

#: From the types of CloudEvents to those of the default form.
_CLOUD_TYPES: Final[Mapping[str, str]] = {
    "harbor.artifact.pushed": "PUSH_ARTIFACT",
    "harbor.artifact.pulled": "PULL_ARTIFACT",
    "harbor.artifact.deleted": "DELETE_ARTIFACT",
    "harbor.scan.completed": "SCANNING_COMPLETED",
    "harbor.scan.failed": "SCANNING_FAILED",
    "harbor.scan.stopped": "SCANNING_STOPPED",
    "harbor.replication.status.changed": "REPLICATION",
    "harbor.quota.exceeded": "QUOTA_EXCEED",
    "harbor.quota.warned": "QUOTA_WARNING",
    "harbor.tag_retention.finished": "TAG_RETENTION",
}

_PASSED: Final[Mapping[str, str]] = {
    "PULL_ARTIFACT": "a pull changes nothing",
    "SCANNING_STOPPED": "a stopped scan found nothing out",
    "REPLICATION": "each artifact that arrived has a PUSH_ARTIFACT of its own",
    "QUOTA_EXCEED": "a quota is no image",
    "QUOTA_WARNING": "a quota is no image",
    "TAG_RETENTION": "each artifact that was removed has a DELETE_ARTIFACT of its own",
}


class _Resource(Part):
    digest: str | None = None
    tag: str | None = None
    scan_overview: dict[str, Any] | None = None


class _Repository(Part):
    repo_full_name: str


class _Data(Part):
    resources: list[_Resource]
    repository: _Repository


class _Message(Part):
    type: str
    occur_at: int | None = None
    operator: str | None = None
    event_data: dict[str, Any]


class _Scanner(Part):
    name: str = ""
    version: str = ""


class _Summary(Part):
    summary: dict[str, int] | None = None


class _Overview(Part):
    scanner: _Scanner | None = None
    summary: _Summary | None = None


class _Happening(Part):
    """What both forms say."""

    type: str
    #: Of the form: where its data is.
    path: str
    data: dict[str, Any]
    actor: str | None
    occurred_at: str | None
    key: str | None


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return what was pushed and deleted, and which scans ended.

    Raises:
        UnusableInputError: no registry is given, the type is unknown, or one of its artifacts cannot be used.
    """
    telling = Telling("harbor", registry, {"repository": "repository.repo_full_name", "counts": "scan_overview"})
    happening = _happening(delivery, telling)
    if happening.type in _PASSED:
        telling.passed("", _PASSED[happening.type])
        return telling.translation()
    if happening.type not in _CLOUD_TYPES.values():
        known = ", ".join(sorted(_CLOUD_TYPES.values()))
        raise UnusableInputError(f"type: {shown(happening.type)} is unknown; known are {known}")
    data = fitted(_Data, happening.data, happening.path)
    for number, resource in enumerate(data.resources):
        _tell(telling, happening, at(happening.path, f"resources.{number}"), data.repository.repo_full_name, resource)
    return telling.translation()


def _happening(delivery: Delivery, telling: Telling) -> _Happening:
    if delivery.media_type != "application/cloudevents+json" and not any(
        name.startswith(("ce-", "ce_")) for name in delivery.headers
    ):
        message = read_object(delivery.body)
        if "specversion" not in message:
            return _default(fitted(_Message, message))
    event = read_event(delivery)
    extra = event.model_extra or {}
    operator = extra.get("operator")
    return _Happening(
        type=_CLOUD_TYPES.get(event.type, event.type),
        path="data",
        data=event.data,
        actor=operator if isinstance(operator, str) else None,
        occurred_at=telling.moment("time", event.time),
        key=key_of(event),
    )


def _default(message: _Message) -> _Happening:
    return _Happening(
        type=message.type,
        path="event_data",
        data=message.event_data,
        actor=message.operator,
        occurred_at=instant_of_seconds(message.occur_at),
        # No id: of the same artifact, the same within one second is the same.
        key=None if message.occur_at is None else spelled([message.type, message.occur_at]),
    )


def _tell(telling: Telling, happening: _Happening, path: str, name: str, resource: _Resource) -> None:
    # Of an artifact without a tag, such as a child of an index, the tag is its digest.
    tag = resource.tag if resource.tag and not is_digest(resource.tag) else None
    members = {"digest": resource.digest, "actor": happening.actor, "occurred_at": happening.occurred_at}
    match happening.type:
        case "PUSH_ARTIFACT" if tag is None:
            telling.passed(path, "pushed by its digest, under no tag")
        case "PUSH_ARTIFACT":
            telling.pushed(happening.key, path, name, tag=tag, **members)
        case "DELETE_ARTIFACT" if tag is None and not resource.digest:
            raise UnusableInputError(f"{path}: neither a tag nor a digest says what was deleted")
        case "DELETE_ARTIFACT":
            telling.deleted(happening.key, path, name, tag=tag, **members)
        case _:
            scan = _scan(resource, path) if happening.type == "SCANNING_COMPLETED" else {}
            succeeded = happening.type == "SCANNING_COMPLETED"
            telling.scanned(happening.key, path, name, tag=tag, succeeded=succeeded, **members, **scan)


def _scan(resource: _Resource, path: str) -> dict[str, Any]:
    overviews = sorted((resource.scan_overview or {}).items())
    if not overviews:
        return {}
    media_type, raw = overviews[0]
    overview = fitted(_Overview, raw, f"{path}.scan_overview.{shown(media_type)}")
    counts = (overview.summary and overview.summary.summary) or {}
    scanner = overview.scanner or _Scanner()
    return {
        "scanner": f"{scanner.name} {scanner.version}".strip(),
        "counts": {band.lower(): count for band, count in counts.items()},
    }
