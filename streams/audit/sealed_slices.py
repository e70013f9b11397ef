"""What differs when seals are verified in a slice: it may leave records out, and has a digest of its own."""

from dataclasses import replace

from streams.audit.verifier.chain import Placed
from streams.audit.verifier.findings import Finding
from streams.audit.verifier.verify import KeptCheckpoints
from streams.slices.reader import SliceLog
from streams.topics import DECISIONS


def problems_of(log: SliceLog, name: str) -> list[Finding]:
    """Return where the slice itself is not as it was written."""
    return [
        Finding("slice-altered", name, -1, problem.line, None, f"the slice is not as it was written: {problem.reason}")
        for problem in log.problems
    ]


def kept_within(log: SliceLog, kept: KeptCheckpoints) -> KeptCheckpoints:
    """Return those of the checkpoints kept elsewhere whose records the slice was to have."""
    ranges = log.header.topics.get(DECISIONS, ())
    is_cut = log.header.chosen.until is not None

    def is_within(placed: Placed) -> bool:
        if placed.said.partition >= len(ranges):
            return True
        there = ranges[placed.said.partition]
        return there is not None and not (is_cut and placed.said.last_offset >= there.end)

    return replace(kept, placed=[placed for placed in kept.placed if is_within(placed)])
