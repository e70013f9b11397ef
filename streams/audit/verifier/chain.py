"""The chain of a partition's checkpoints: which ones it consists of, and what is wrong with how they stand.

It is followed back from the newest checkpoint by the ids of those before it. What is genuine and not on that way, a
second sealer made beside it; it must be true, and is nothing to worry about.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.audit.verifier.checkpoints import Statement
from streams.audit.verifier.findings import CHECKPOINTS, Finding


@dataclass(frozen=True, slots=True)
class Placed:
    """A genuine checkpoint and where it stands: an offset of the topic, or a line of a file that was kept elsewhere."""

    said: Statement
    place: int
    #: The file; None for the topic.
    file: str | None = None


@dataclass(slots=True)
class Chain:
    """The checkpoints of a partition, in order."""

    members: list[Placed] = field(default_factory=list)
    #: Genuine ones that nothing builds on.
    beside: list[Placed] = field(default_factory=list)
    #: How often one stands again right after itself, as after a crash.
    repeated: int = 0
    findings: list[Finding] = field(default_factory=list)


def chain_of(partition: int, in_topic: Sequence[Placed], kept: Sequence[Placed], claimed: set[int]) -> Chain:
    """Return the chain of the genuine checkpoints in the topic, by their offsets, and of those kept elsewhere.

    ``claimed`` are the numbers of those in the topic that are not genuine: what is told of already.
    """
    chain = Chain()
    known = _first_ones(chain, partition, in_topic)
    topic_tip = max((placed.said.number for placed in known.values()), default=-1)
    for placed in kept:
        known.setdefault(placed.said.id, placed)
    _follow_back(chain, known, partition, claimed)
    on_it = {placed.said.id for placed in chain.members}
    chain.beside = [placed for placed in known.values() if placed.said.id not in on_it]
    _check_places(chain, partition, topic_tip)
    return chain


def _first_ones(chain: Chain, partition: int, in_topic: Sequence[Placed]) -> dict[str, Placed]:
    found: dict[str, Placed] = {}
    newest = -1
    for placed in in_topic:
        said = placed.said
        first = found.setdefault(said.id, placed)
        if first is not placed:
            if said.number >= newest:
                chain.repeated += 1
            else:
                text = f"checkpoint {said.number}, which stands at offset {first.place}, stands here again"
                chain.findings.append(
                    Finding("checkpoint-replayed", CHECKPOINTS, partition, placed.place, said.number, text)
                )
        newest = max(newest, said.number)
    return found


def _follow_back(chain: Chain, known: dict[str, Placed], partition: int, claimed: set[int]) -> None:
    """Fill in the members, from the newest one back."""
    by_number: dict[int, Placed] = {}
    for placed in known.values():
        by_number.setdefault(placed.said.number, placed)
    numbers = sorted(by_number)
    current = by_number[numbers[-1]] if numbers else None
    while current is not None:
        chain.members.append(current)
        said = current.said
        before = known.get(said.previous or "")
        if before is None or before.said.number != said.number - 1:
            while numbers and numbers[-1] >= said.number:
                numbers.pop()
            before = by_number[numbers[-1]] if numbers else None
            _tell_missing(chain, current, before, partition, claimed)
        current = before
    chain.members.reverse()


def _tell_missing(chain: Chain, after: Placed, before: Placed | None, partition: int, claimed: set[int]) -> None:
    first = 0 if before is None else before.said.number + 1
    missing = after.said.number - first
    if missing == 0 and before is None:
        return  # The first one of all.
    if missing and claimed.issuperset(range(first, after.said.number)):
        return
    offset = None if after.file else after.place
    text = f"checkpoint {first}" if missing < 2 else f"checkpoints {first} to {after.said.number - 1}"
    if not missing:
        first, missing, text = first - 1, 1, f"the checkpoint {first - 1} on which checkpoint {first} builds"
    verb = "is" if missing == 1 else "are"
    text = f"{text} {verb} missing before checkpoint {after.said.number}"
    chain.findings.append(Finding("checkpoint-missing", CHECKPOINTS, partition, offset, first, text, missing))


def _check_places(chain: Chain, partition: int, topic_tip: int) -> None:
    last, newer = -1, [placed for placed in chain.members if placed.said.number > topic_tip]
    for placed in chain.members:
        number = placed.said.number
        if placed.file is None:
            if placed.place < last:
                text = f"checkpoint {number} stands before one that it builds on, at offset {last}"
                chain.findings.append(
                    Finding("checkpoint-reordered", CHECKPOINTS, partition, placed.place, number, text)
                )
            last = max(last, placed.place)
        elif placed not in newer:
            text = f"checkpoint {number}, which {placed.file} has on line {placed.place}, is not in the topic"
            chain.findings.append(Finding("checkpoint-missing", CHECKPOINTS, partition, None, number, text))
    if newer:
        first = newer[0]
        text = (
            f"{first.file} has checkpoint {newer[-1].said.number} over {newer[-1].said.size} records; the topic ends "
            + (f"with checkpoint {topic_tip}" if topic_tip >= 0 else "before its first checkpoint")
        )
        chain.findings.append(
            Finding("log-rolled-back", CHECKPOINTS, partition, None, first.said.number, text, len(newer))
        )
