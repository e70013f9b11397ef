"""What follows from a step when all goes well: facts are known at the targets, and commands are completed at once."""

from collections.abc import Iterator
from hashlib import blake2b

from schemas.canonical import canonical_bytes, content_id
from schemas.catalogue import type_of
from schemas.commands import CopyImage, RemoveTag
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import RemovalFailed, RemovalSkipped, TagRemoved, TransferCompleted
from schemas.outcomes import Outcome
from schemas.references import Frozen, Reference
from towline.policy.judge import DECISION_SOURCE
from towline.policy.step import Step


def consequences(step: Step, source: str) -> Iterator[Envelope[Frozen]]:
    """Yield what happens when all goes well: facts are told before the image arrives, as the evaluator does.

    ``source`` says who completes the commands.
    """
    yield from step.carried
    for command in step.commands:
        if isinstance(copy := command.data, CopyImage):
            data = TransferCompleted(
                **copy.outcome_members(command.id),
                bytes_copied=0,
                blobs_copied=0,
                blobs_mounted=0,
                blobs_skipped=0,
            )
            yield _outcome(command, copy.target, data, source)
        if isinstance(removal := command.data, RemoveTag):
            gone = TagRemoved(**removal.outcome_members(command.id), previous_digest=removal.digest)
            yield _outcome(command, removal.target, gone, source)


def _outcome(command: Envelope[Frozen], target: Reference, data: Frozen, source: str) -> Envelope[Frozen]:
    return Envelope(content_id(command.id, "outcome"), source, str(target), command.time, data)


def consequence_key(event: Envelope[Frozen]) -> int | None:
    """Return what of an event says which consequence it is, whatever revision led to it; None for other events.

    Of an outcome, however it ended: what was to become of which digest under which target tag. Of a fact that a
    promotion took along: all that it says.
    """
    data = event.data
    if isinstance(data, Outcome):
        kind = "remove" if isinstance(data, TagRemoved | RemovalSkipped | RemovalFailed) else "copy"
        return _key(kind, data.digest, str(data.target))
    if getattr(data, "carried_from", None) is not None and event.source == DECISION_SOURCE:
        return number_of(type_of(data).encode() + canonical_bytes(data.model_dump(mode="json")))
    return None


def decision_key(decision: Decision) -> int:
    """Return which consequence a decision has that acts."""
    kind = "remove" if decision.verdict == "remove" else "copy"
    return _key(kind, decision.digest, str(decision.target))


def _key(kind: str, digest: str, target: str) -> int:
    return number_of(f"{kind} {digest} {target}".encode())


def number_of(text: bytes) -> int:
    """Return a number of 64 bits for a text: of millions no two are alike, and they take a third of the memory."""
    return int.from_bytes(blake2b(text, digest_size=8).digest())
