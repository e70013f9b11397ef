"""Small builders of events, policies and digests. Deterministic: equal calls make equal bytes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from schemas.canonical import content_id, sha256_hex
from schemas.commands import CopyImage, RemoveTag
from schemas.envelope import Envelope
from schemas.events import (
    ClockTicked,
    ImageDeleted,
    ImagePushed,
    PolicyProposed,
    PolicyPublished,
    TransferCompleted,
    TransferFailed,
    TransferSkipped,
)
from schemas.instants import format_instant
from schemas.patterns import SourcePattern, TargetPattern
from schemas.policies import Policy, PolicySet
from schemas.references import Frozen, Reference
from schemas.rules import Rule, TagRule
from streams.log import Append, EventLog
from streams.routing import CLOCK_KEY, POLICIES_KEY, broadcast_appends, event_append, home_partition

_BEGINNING = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)


def at(seconds: int) -> str:
    """Return the instant so many seconds after the beginning of all tests."""
    return format_instant(_BEGINNING + timedelta(seconds=seconds))


def digest(name: str) -> str:
    """Return a digest, different for each name."""
    return f"sha256:{sha256_hex(name.encode())}"


def envelope(data: Frozen, *, subject: str, key: str, time: str | None = None) -> Envelope[Frozen]:
    """Return data in an envelope whose id derives from ``key``."""
    return Envelope(id=content_id("test", key), source="test", subject=subject, time=time or at(0), data=data)


def pushed(
    reference: str,
    image: str,
    *,
    key: str | None = None,
    time: str | None = None,
    media_type: str | None = None,
    actor: str | None = "ci",
) -> Envelope[Frozen]:
    """Return a push of the image of this name; pushes with equal keys are the same event."""
    parsed = Reference.parse(reference)
    data = ImagePushed(
        repository=parsed.repository, tag=parsed.tag, digest=digest(image), media_type=media_type, actor=actor
    )
    return envelope(data, subject=reference, key=key or f"push {reference} {image}", time=time)


def deleted(reference: str, *, key: str | None = None, time: str | None = None) -> Envelope[Frozen]:
    """Return the deletion of a tag."""
    parsed = Reference.parse(reference)
    data = ImageDeleted(repository=parsed.repository, tag=parsed.tag)
    return envelope(data, subject=reference, key=key or f"delete {reference}", time=time)


_RULE: TypeAdapter[Rule] = TypeAdapter(Rule)


def rule(operator: str, *values: str) -> Rule:
    """Return a rule on the tag."""
    return TagRule.model_validate({"field": "tag", "operator": operator, "values": values})


def rule_on(field: str, operator: str, *values: str, **more: str) -> Rule:
    """Return a rule on any field."""
    return _RULE.validate_python({"field": field, "operator": operator, "values": values, **more})


def policy(name: str, source: str, target: str, *rules: Rule, tag: str = "%n", **more: Any) -> Policy:
    """Return a policy between two repositories, or patterns of them."""
    return Policy(
        name=name,
        source=SourcePattern.parse(source),
        target=TargetPattern.parse(target),
        tag=tag,
        rules=rules,
        **more,
    )


def published(*policies: Policy, revision: int = 1, **more: Any) -> Envelope[Frozen]:
    """Return the publication of a policy set."""
    chosen = PolicySet(policies=policies, **more)
    proposal = content_id("test", "proposal", str(revision))
    data = PolicyPublished(revision=revision, digest=chosen.digest, set=chosen, proposal_id=proposal, actor="operator")
    return envelope(data, subject=f"policies@{revision}", key=f"publication {revision} {chosen.digest}")


def proposed(*policies: Policy, replaces: int = 0, actor: str = "operator", **more: Any) -> Envelope[Frozen]:
    """Return the proposal of a policy set."""
    chosen = PolicySet(policies=policies, **more)
    data = PolicyProposed(replaces=replaces, set=chosen, actor=actor)
    return envelope(data, subject="policies", key=f"proposal {replaces} {chosen.digest} {actor}")


def ticked(seconds: int) -> Envelope[Frozen]:
    """Return a tick so many seconds after the beginning."""
    return envelope(ClockTicked(now=at(seconds)), subject="clock", key=f"tick {seconds}", time=at(seconds))


def command(
    source: str, target: str, image: str, *, key: str | None = None, decision_id: str | None = None, hops: int = 1
) -> Envelope[CopyImage]:
    """Return the command to copy an image; commands with equal keys are the same."""
    key = key or f"copy {source} {target} {image}"
    data = CopyImage(
        decision_id=decision_id or content_id("test", "decision", key),
        policy="policy",
        source=Reference.parse(source),
        digest=digest(image),
        target=Reference.parse(target),
        hops=hops,
    )
    return Envelope(id=content_id("test", key), source="test", subject=target, time=at(0), data=data)


def removal(source: str, target: str, image: str, *, key: str = "") -> Envelope[RemoveTag]:
    """Return the command to remove a tag that has this image; commands with equal keys are the same."""
    key = f"remove {source} {target} {image} {key}"
    data = RemoveTag(
        decision_id=content_id("test", "decision", key),
        policy="policy",
        source=Reference.parse(source),
        digest=digest(image),
        target=Reference.parse(target),
        hops=1,
    )
    return Envelope(id=content_id("test", key), source="test", subject=target, time=at(0), data=data)


def completed(command_id: str, copy: CopyImage) -> TransferCompleted:
    """Return the outcome of a copy that was made."""
    return TransferCompleted(
        **_outcome(command_id, copy), bytes_copied=557, blobs_copied=1, blobs_mounted=0, blobs_skipped=0
    )


def reduced(command_id: str, copy: CopyImage) -> TransferCompleted:
    """Return the outcome of a copy of some platforms to a registry that takes no index without all of them."""
    return completed(command_id, copy).model_copy(update={"reduced_digest": digest(f"some of {copy.digest}")})


def skipped(command_id: str, copy: CopyImage) -> TransferSkipped:
    """Return the outcome of a copy that had nothing to do."""
    return TransferSkipped(**_outcome(command_id, copy))


def failed(command_id: str, copy: CopyImage) -> TransferFailed:
    """Return the outcome of a copy that could not be made."""
    return TransferFailed(
        **_outcome(command_id, copy), cause="source-gone", detail="no such manifest", retryable=False, attempts=1
    )


def outcome(data: TransferCompleted | TransferSkipped | TransferFailed, *, time: str | None = None) -> Envelope[Frozen]:
    """Return an outcome as the event that the transferrer records."""
    return Envelope(
        id=content_id(data.command_id, "outcome"),
        source="test",
        subject=str(data.target),
        time=time or at(60),
        data=data,
    )


def arrived(reference: str, image: str, *, hops: int, key: str = "") -> Envelope[Frozen]:
    """Return the arrival of an image by the last of ``hops`` transfers in a row."""
    copy = command("local/before/app:1.0", reference, image, key=f"{key} {reference} {image} {hops}", hops=hops)
    return outcome(completed(copy.id, copy.data))


def _outcome(command_id: str, copy: CopyImage) -> dict[str, object]:
    return {
        "command_id": command_id,
        "decision_id": copy.decision_id,
        "policy": copy.policy,
        "source": copy.source,
        "target": copy.target,
        "digest": copy.digest,
        "hops": copy.hops,
    }


def appends_of(event: Envelope[Frozen], partitions: int) -> list[Append]:
    """Return what brings an event into the log: one append, or one for each partition when it is broadcast."""
    home = home_partition(event, partitions)
    if home is not None:
        return [replace(event_append(event), partition=home)]
    key = CLOCK_KEY if isinstance(event.data, ClockTicked) else POLICIES_KEY
    return broadcast_appends(event, key, partitions)


async def record_events(log: EventLog, *events: Envelope[Frozen], partitions: int) -> None:
    """Bring events into the log."""
    for event in events:
        await log.append_all(appends_of(event, partitions))
