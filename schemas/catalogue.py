"""The one catalogue from ``type`` and ``version`` to model, and the way onto the wire and back.

A shape never changes: a new version of a type gets a new model, and a step in :data:`UPCASTS` that turns the data of
the version before into it. The bytes in the log stay as they are.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from schemas.canonical import canonical_bytes
from schemas.checkpoints import Checkpoint
from schemas.commands import CopyImage, InspectImage, PollRepository, RemoveTag, ResolveTag
from schemas.deadletters import DeadLetter, InputRequeued
from schemas.decisions import Decision
from schemas.envelope import Envelope, WireEnvelope
from schemas.events import (
    ClockTicked,
    ImageDeleted,
    ImageHinted,
    ImageObserved,
    ImagePushed,
    PolicyProposed,
    PolicyPublished,
    PollCompleted,
    PollFailed,
    PromotionRequested,
    RemovalFailed,
    RemovalSkipped,
    SyncRequested,
    TagRemoved,
    TagsListed,
    TransferCompleted,
    TransferFailed,
    TransferProgressed,
    TransferSkipped,
    TransferStarted,
)
from schemas.facts import (
    ApprovalGranted,
    ApprovalRevoked,
    ImageInspected,
    InspectionFailed,
    OverrideRevoked,
    SbomSubmitted,
    ScanCompleted,
    ScanNoticed,
    SignatureVerified,
    VulnerabilityOverridden,
)
from schemas.references import Frozen
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackRequested
from schemas.upcasts import Upcast, as_they_were, never_compared, on_an_interval, unchanged, with_options
from schemas.webhooks import (
    DeliverWebhook,
    SubscriptionEnded,
    SubscriptionsProposed,
    SubscriptionsPublished,
    WebhookDelivered,
    WebhookFailed,
)

EVENT_TYPES: Final[dict[str, type[Frozen]]] = {
    "image.pushed": ImagePushed,
    "image.hinted": ImageHinted,
    "image.observed": ImageObserved,
    "tags.listed": TagsListed,
    "image.deleted": ImageDeleted,
    "policy.proposed": PolicyProposed,
    "policy.published": PolicyPublished,
    "clock.ticked": ClockTicked,
    "transfer.completed": TransferCompleted,
    "transfer.skipped": TransferSkipped,
    "transfer.failed": TransferFailed,
    "transfer.started": TransferStarted,
    "transfer.progressed": TransferProgressed,
    "tag.removed": TagRemoved,
    "removal.skipped": RemovalSkipped,
    "removal.failed": RemovalFailed,
    "image.inspected": ImageInspected,
    "inspection.failed": InspectionFailed,
    "poll.completed": PollCompleted,
    "poll.failed": PollFailed,
    "scan.completed": ScanCompleted,
    "scan.noticed": ScanNoticed,
    "sbom.submitted": SbomSubmitted,
    "signature.verified": SignatureVerified,
    "vulnerability.overridden": VulnerabilityOverridden,
    "override.revoked": OverrideRevoked,
    "approval.granted": ApprovalGranted,
    "approval.revoked": ApprovalRevoked,
    "promotion.requested": PromotionRequested,
    "sync.requested": SyncRequested,
    "rollback.requested": RollbackRequested,
    "rollback.approved": RollbackApproved,
    "digest.barred": DigestBarred,
    "subscriptions.proposed": SubscriptionsProposed,
    "subscriptions.published": SubscriptionsPublished,
    "subscription.ended": SubscriptionEnded,
    "webhook.delivered": WebhookDelivered,
    "webhook.failed": WebhookFailed,
}
COMMAND_TYPES: Final[dict[str, type[Frozen]]] = {
    "image.copy": CopyImage,
    "tag.remove": RemoveTag,
    "image.inspect": InspectImage,
    "repository.poll": PollRepository,
    "tag.resolve": ResolveTag,
    "webhook.deliver": DeliverWebhook,
}
DECISION_TYPES: Final[dict[str, type[Frozen]]] = {"decision.made": Decision}
DEADLETTER_TYPES: Final[dict[str, type[Frozen]]] = {"input.rejected": DeadLetter, "input.requeued": InputRequeued}
CHECKPOINT_TYPES: Final[dict[str, type[Frozen]]] = {"checkpoint.sealed": Checkpoint}

#: Every type on any topic, with the model of its current version.
TYPES: Final[Mapping[str, type[Frozen]]] = (
    EVENT_TYPES | COMMAND_TYPES | DECISION_TYPES | DEADLETTER_TYPES | CHECKPOINT_TYPES
)

#: The current version of each type.
VERSIONS: Final[Mapping[str, int]] = dict.fromkeys(TYPES, 1) | {
    "policy.proposed": 3,
    "policy.published": 3,
    "decision.made": 3,
    "image.observed": 3,
    "image.deleted": 2,
    "poll.completed": 2,
    "repository.poll": 2,
    "image.copy": 2,
    "transfer.completed": 3,
    "transfer.skipped": 3,
    "transfer.failed": 2,
    "promotion.requested": 2,
}

#: From ``(type, version)`` to the step that makes the data of ``version + 1`` out of it.
UPCASTS: Final[Mapping[tuple[str, int], Upcast]] = {
    ("policy.proposed", 1): as_they_were,
    ("policy.published", 1): as_they_were,
    ("policy.proposed", 2): never_compared,
    ("policy.published", 2): never_compared,
    ("image.observed", 1): on_an_interval,
    ("image.observed", 2): unchanged,
    ("image.deleted", 1): unchanged,
    ("poll.completed", 1): unchanged,
    ("repository.poll", 1): unchanged,
    ("decision.made", 1): with_options,
    ("decision.made", 2): unchanged,
    ("image.copy", 1): with_options,
    ("transfer.completed", 1): unchanged,
    ("transfer.completed", 2): unchanged,
    ("transfer.skipped", 1): unchanged,
    ("transfer.skipped", 2): unchanged,
    ("transfer.failed", 1): unchanged,
    ("promotion.requested", 1): unchanged,
}

#: How a record ends that was written canonically: with its type and version.
_END: Final = re.compile(rb',"type":"([a-z]+\.[a-z]+","version":[0-9]+)\}\Z')
_END_BYTES_MAX: Final = 128

_TYPE_OF: Final[Mapping[type[Frozen], str]] = {model: name for name, model in TYPES.items()}


class UnreadableRecordError(ValueError):
    """Bytes that are no record of ours. The text says what is wrong, with the path; a retry cannot help."""


def type_of(data: Frozen) -> str:
    """Return the wire type of a data model, such as ``image.pushed``."""
    return _TYPE_OF[type(data)]


def encode(envelope: Envelope[Frozen]) -> bytes:
    """Return the canonical bytes of a record."""
    type_ = type_of(envelope.data)
    return canonical_bytes(
        {
            "specversion": "1.0",
            "id": envelope.id,
            "source": envelope.source,
            "type": type_,
            "version": VERSIONS[type_],
            "subject": envelope.subject,
            "time": envelope.time,
            "datacontenttype": "application/json",
            "data": envelope.data,
        }
    )


def decode(value: bytes) -> Envelope[Frozen]:
    """Read a record, of this version or an older one.

    Raises:
        UnreadableRecordError: the bytes are not JSON, not an envelope, of an unknown type or a newer version, or the
            data does not fit its model.
    """
    whole = _read_whole(value)
    return _read_in_steps(value) if whole is None else whole


def _read_whole(value: bytes) -> Envelope[Frozen] | None:
    """Read a record of a current version, which ends with its type and version as ours do, in one go; None: another.

    A record ends the object that it is, so these are its own members whatever texts it holds, and the last of their
    names.
    """
    end = _END.search(value, max(0, len(value) - _END_BYTES_MAX))
    reader = None if end is None else _READERS[end[1]]
    if reader is None:
        return None
    try:
        wire: Any = reader.validate_json(value)
    except ValidationError:
        return None  # Read again in steps, which tell what is wrong.
    return Envelope(wire["id"], wire["source"], wire["subject"], wire["time"], wire["data"])


class _Readers(dict[bytes, TypeAdapter[Any] | None]):
    """From the end of a record of a current version to what reads it, each made at its first use."""

    def __missing__(self, end: bytes) -> TypeAdapter[Any] | None:
        name, _, version = end.decode().partition('","version":')
        if str(VERSIONS.get(name)) != version:
            return None
        members = {member: field.rebuild_annotation() for member, field in WireEnvelope.model_fields.items()}
        shape = TypedDict("WireRecord", members | {"data": TYPES[name]})  # type: ignore[misc]
        setattr(shape, "__pydantic_config__", WireEnvelope.model_config | {"defer_build": False})  # noqa: B010 - so typed
        reader = self[end] = TypeAdapter(shape)
        return reader


#: A cache: how a type is read follows from the catalogue.
_READERS: Final = _Readers()


def _read_in_steps(value: bytes) -> Envelope[Frozen]:
    try:
        wire = WireEnvelope.model_validate_json(value)
    except ValidationError as error:
        raise UnreadableRecordError(describe(error)) from None
    model = TYPES.get(wire.type)
    if model is None:
        raise UnreadableRecordError(f"unknown type {wire.type!r}; known are {', '.join(sorted(TYPES))}")
    current = VERSIONS[wire.type]
    if wire.version > current:
        raise UnreadableRecordError(
            f"{wire.type} version {wire.version} is newer than {current}, the newest known here"
        )
    data = wire.data
    for version in range(wire.version, current):
        data = UPCASTS[wire.type, version](data)
    try:
        content = model.model_validate_json(orjson.dumps(data))
    except ValidationError as error:
        raise UnreadableRecordError(describe(error, "data")) from None
    except orjson.JSONEncodeError as error:  # Such as a number of more than 64 bits, which none of ours has.
        raise UnreadableRecordError(f"data: {error}") from None
    return Envelope(id=wire.id, source=wire.source, subject=wire.subject, time=wire.time, data=content)


def problems_in(error: ValidationError, *prefix: str) -> list[str]:
    """Return a line for each thing that a validation found wrong, with its path. Input values are not repeated."""
    found = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        path = ".".join(str(part) for part in (*prefix, *item["loc"]))
        found.append(f"{path}: {item['msg']}" if path else item["msg"])
    return found


def describe(error: ValidationError, *prefix: str) -> str:
    """Return a validation error as one line."""
    return "; ".join(problems_in(error, *prefix))
