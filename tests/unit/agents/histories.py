"""A history that reaches every branch of the evaluator, spread over the partitions of the harness."""

from schemas.envelope import Envelope
from schemas.references import Frozen
from tests.support.builders import arrived, deleted, policy, proposed, pushed, rule, ticked

POLICIES = (
    policy("app-to-prod", "local/dev/app", "local/prod/app", rule("ends-with", "-stable"), tag="%n-%Y%m%d"),
    policy("app-to-qa", "local/dev/app", "local/qa/app", rule("not-one-of", "latest")),
    policy("tool-mirror", "local/dev/tool", "remote/tool"),
    policy("qa-onward", "local/qa/app", "remote/app"),
)

HISTORY: tuple[Envelope[Frozen], ...] = (
    pushed("local/dev/app:0.9", "before any policy"),
    proposed(*POLICIES),
    ticked(30),
)

AFTER_PUBLICATION: tuple[Envelope[Frozen], ...] = (
    pushed("local/dev/app:1.0-stable", "one"),
    pushed("local/dev/tool:1", "one"),
    pushed("local/dev/app:latest", "one"),
    pushed("local/dev/app:1.0-stable", "one"),
    ticked(60),
    arrived("local/qa/app:1.0-stable", "one", hops=1),
    deleted("local/dev/app:1.0-stable"),
    pushed("local/dev/app:1.0-stable", "one", key="pushed again"),
    pushed("local/other/thing:1", "nobody cares"),
    pushed("local/dev/tool:1", "two"),
    ticked(90),
)
