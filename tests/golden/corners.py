"""A history of corners: every directive and operator, all outcomes, refused proposals, and what comes twice or late."""

from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.references import Frozen
from tests.support.builders import (
    arrived,
    command,
    deleted,
    failed,
    outcome,
    policy,
    proposed,
    pushed,
    rule,
    skipped,
    ticked,
)
from towline import limits

_EVERY_DIRECTIVE = "%n_%A%a%w%d%B%b%m%Y%y%H%I%p%M%S%f%Z%j%W"

_FIRST = (
    policy("dated", "local/dev/app", "remote/app", tag=_EVERY_DIRECTIVE),
    policy("equal", "local/dev/app", "local/qa/app", rule("equals", "1.0", "2.0"), rule("not-one-of", "latest")),
    policy("part", "local/dev/app", "local/part/app", rule("contains", "."), rule("starts-with", "1", "2")),
)
_SECOND = (
    policy("listed", "local/dev/app", "local/qa/app", rule("one-of", "1.0", "latest"), rule("ends-with", "0", "t")),
    policy("onward", "local/qa/app", "remote/qa"),
)


def _copy(tag: str) -> Envelope[CopyImage]:
    return command(f"local/dev/app:{tag}", f"local/qa/app:{tag}", "one")


_SKIPPED, _FAILED = _copy("skipped"), _copy("failed")

CORNERS: tuple[Envelope[Frozen], ...] = (
    ticked(10),
    proposed(*_FIRST),
    proposed(*_SECOND, actor="too late"),
    proposed(*_SECOND, replaces=7, actor="too early"),
    ticked(5),
    pushed("local/dev/app:1.0", "one", time="2024-02-29T00:05:06.000007Z"),
    pushed("local/dev/app:latest", "one", time="2026-12-31T12:00:00.000000Z"),
    pushed("local/dev/app:" + "x" * 120, "one"),
    proposed(*_SECOND, replaces=1),
    pushed("local/dev/app:1.0", "one", key="judged again under the new revision"),
    pushed("local/dev/app:1.0", "one", key="and not once more"),
    pushed("local/dev/app:1.0", "one", key="and not once more"),
    outcome(skipped(_SKIPPED.id, _SKIPPED.data)),
    outcome(failed(_FAILED.id, _FAILED.data)),
    arrived("local/qa/app:deep", "one", hops=limits.hop_count - 1),
    arrived("local/qa/app:too-deep", "one", hops=limits.hop_count),
    deleted("local/qa/app:deep"),
    deleted("local/qa/app:never-seen"),
    pushed("local/qa/app:deep", "one", key="back after it was deleted"),
    proposed(replaces=2, actor="all policies gone"),
    pushed("local/dev/app:1.0", "one", key="nobody cares any more"),
    ticked(20),
)
