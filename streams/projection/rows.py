"""From a record of a topic to its row: what questions ask by, and the record itself."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from schemas.catalogue import (
    CHECKPOINT_TYPES,
    COMMAND_TYPES,
    DEADLETTER_TYPES,
    DECISION_TYPES,
    UnreadableRecordError,
    decode,
    encode,
    type_of,
)
from schemas.commands import TargetCommand
from schemas.deadletters import DeadLetter
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import ClockTicked, PolicyPublished, TransferProgressed
from schemas.facts import ImageInspected
from schemas.outcomes import Outcome, Report
from schemas.references import Frozen, Reference, Repository
from schemas.rollbacks import RollbackRequested
from schemas.webhooks import DeliverWebhook, SubscriptionsPublished, WebhookDelivered, WebhookFailed
from streams.folding import read_event
from streams.log import LogRecord, Position
from streams.routing import home_partition
from streams.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, DECISIONS, EVENTS
from streams.transfers.transfer import ended_as
from towline.errors import UnusableInputError

#: What is read, and in which order records of one moment are told: causes before effects.
PROJECTED: Final = (EVENTS, DECISIONS, COMMANDS, DEADLETTERS, CHECKPOINTS)
RANK: Final[Mapping[str, int]] = {topic: rank for rank, topic in enumerate(PROJECTED)}

_TYPES: Final[Mapping[str, Mapping[str, type[Frozen]]]] = {
    DECISIONS: DECISION_TYPES,
    COMMANDS: COMMAND_TYPES,
    DEADLETTERS: DEADLETTER_TYPES,
    CHECKPOINTS: CHECKPOINT_TYPES,
}

#: Nobody asks for these afterwards, and there are more of them than of everything else.
_PASSED_OVER: Final = (ClockTicked, TransferProgressed, DeliverWebhook, WebhookDelivered, WebhookFailed)

#: Their digests are those of sets, and of no image.
_SETS: Final = (PolicyPublished, SubscriptionsPublished)

#: Which member names the record that led to one, in the order of what counts.
_CAUSES: Final = ("command_id", "decision_id", "event_id", "request_id", "proposal_id", "cause_id")


@dataclass(frozen=True, slots=True)
class Kept:
    """A record, the first place where it stands, and how often it is in its topic."""

    position: Position
    envelope: Envelope[Frozen]
    copies: int


class Row(NamedTuple):
    """What is kept of a record, in the order of the table's columns; the last two members are no columns."""

    topic: int
    part: int
    pos: int
    id: str
    type: str
    time: str
    actor: str | None
    policy: str | None
    verdict: str | None
    outcome: str | None
    source_repository: str | None
    source_tag: str | None
    target_repository: str | None
    target_tag: str | None
    digest: str | None
    revision: int | None
    decision_id: str | None
    caused_by: str | None
    body: bytes
    digests: tuple[str, ...]
    #: Whether it is in every partition, which is no repetition.
    is_broadcast: bool


def row_of(record: LogRecord, partitions: int) -> Row | None:
    """Return the row of a record; None for one that is none of ours, or that nobody asks for."""
    envelope = _read(record, partitions)
    if envelope is None or isinstance(envelope.data, _PASSED_OVER):
        return None
    data, body = envelope.data, record.value or b""
    if isinstance(data, DeadLetter):
        # The bytes that somebody sent stay in the topic: they may be large, and may be anything.
        body = encode(replace(envelope, data=data.model_copy(update={"key_base64": None, "value_base64": None})))
    (source_repository, source_tag), target = _source(data), _target(data)
    return Row(
        RANK[record.topic],
        record.partition,
        record.offset,
        envelope.id,
        type_of(data),
        envelope.time,
        _text(data, "actor"),
        _text(data, "policy"),
        _text(data, "verdict"),
        ended_as(data) if isinstance(data, Outcome) else None,
        source_repository,
        source_tag,
        None if target is None else str(target.repository),
        None if target is None else target.tag,
        _text(data, "digest") if not isinstance(data, _SETS) else None,
        data.revision if isinstance(data, Decision | PolicyPublished | SubscriptionsPublished) else None,
        data.decision_id if isinstance(data, TargetCommand | Report) else None,
        next((found for name in _CAUSES if (found := _text(data, name))), None),
        zlib.compress(body, 1),
        digests_in(data),
        record.topic == EVENTS and home_partition(envelope, partitions) is None,
    )


def kept_of(topic: int, part: int, pos: int, copies: int, body: bytes) -> Kept:
    """Return the record of a row."""
    return Kept(Position(PROJECTED[topic], part, pos), decode(zlib.decompress(body)), copies)


def _read(record: LogRecord, partitions: int) -> Envelope[Frozen] | None:
    """Return a record as whoever works on the topic reads it: an event in another's partition is none."""
    try:
        if record.topic == EVENTS:
            return read_event(record, partitions)
        envelope = decode(record.value or b"")
    except (UnusableInputError, UnreadableRecordError):
        return None
    return envelope if type_of(envelope.data) in _TYPES[record.topic] else None


def _source(data: Frozen) -> tuple[str | None, str | None]:
    """Return the repository and the tag that a record is about; of what goes from one to another, the first."""
    if isinstance(data, Decision | TargetCommand | Report):
        return str(data.source.repository), data.source.tag
    repository = vars(data).get("repository")
    if not isinstance(repository, Repository):
        return None, None
    return str(repository), _text(data, "tag")


def _target(data: Frozen) -> Reference | None:
    # A property of some, which is asked for only where there may be one: missing names cost a model much.
    target = data.target if isinstance(data, RollbackRequested) else vars(data).get("target")
    return target if isinstance(target, Reference) else None


def references_in(data: Frozen) -> tuple[str, ...]:
    """Return the tags that a record is about, the source first."""
    (repository, tag), target = _source(data), _target(data)
    source = None if repository is None or tag is None else f"{repository}:{tag}"
    return tuple(dict.fromkeys(str(one) for one in (source, target) if one is not None))


def _text(data: Frozen, name: str) -> str | None:
    value = vars(data).get(name)
    return value if isinstance(value, str) else None


def digests_in(data: Frozen) -> tuple[str, ...]:
    """Return the digests of images that a record names."""
    if isinstance(data, _SETS):
        return ()
    named = {_text(data, name) for name in ("digest", "previous_digest", "reduced_digest")}
    if isinstance(data, ImageInspected):
        named |= {image.digest for image in data.images}
    return tuple(sorted(digest for digest in named if digest is not None))
