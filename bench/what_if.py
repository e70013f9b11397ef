"""``python -m bench.what_if [EVENTS]``: a what-if of one changed policy of 200, against an evaluation from scratch.

Writes a log of so many events (1,000,000 unless told otherwise) to a broker of its own: pushes, what was promoted from
dev to qa and on to prod, scans and ticks, with all decisions. Both evaluations run in processes of their own. Prints
what each took as a JSON object a line, and at last whether they are equal; ends with 1 when they are not.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from schemas.canonical import sha256_hex
from schemas.envelope import Envelope
from schemas.policies import Policy, PolicySet
from schemas.references import Frozen
from streams.cli.output import print_json
from streams.consequences import consequences
from streams.folding import fold
from streams.kafka_log import KafkaLog
from streams.kafka_read_log import KafkaReadLog
from streams.log import Append, LogRecord
from streams.provision import create_topics
from streams.replay.report import report_of
from streams.replay.what_if import what_if
from streams.topics import EVENTS
from tests.support.brokers import own_broker
from tests.support.builders import appends_of, at, policy, published, pushed, rule, ticked
from tests.support.facts import scanned
from towline.policy.step import MemoryState
from towline.settings import KafkaSettings

EVENTS_COUNT: Final = 1_000_000
SOURCES: Final = 100
PARTITIONS: Final = 12
_BATCH: Final = 1000


def policies(*, changed: bool) -> tuple[Policy, ...]:
    """Return 200 policies: from dev to qa what is stable, and from qa to prod all; one of them takes all if changed."""
    stable = rule("ends-with", "-stable")
    to_qa = [
        policy(f"to-qa-{n}", f"local/dev/app{n}", f"local/qa/app{n}", *(() if changed and n == 0 else (stable,)))
        for n in range(SOURCES)
    ]
    return (*to_qa, *(policy(f"to-prod-{n}", f"local/qa/app{n}", f"local/prod/app{n}") for n in range(SOURCES)))


class _Writer:
    """Folds what it writes, as evaluators would, and completes every copy."""

    def __init__(self, log: KafkaLog) -> None:
        self._log = log
        self._states = [MemoryState() for _ in range(PARTITIONS)]
        self._offsets = [0] * PARTITIONS
        self._appends: list[Append] = []
        self.events = 0

    async def write(self, event: Envelope[Frozen]) -> None:
        todo = deque([event])
        while todo:
            for append in appends_of(todo.popleft(), PARTITIONS):
                partition = append.partition or 0
                record = LogRecord(EVENTS, partition, self._offsets[partition], append.key, append.value, (), 0)
                self._offsets[partition] += 1
                self.events += 1
                folded = fold(self._states[partition], record, PARTITIONS)
                self._states[partition].apply(folded.changes)
                self._appends += [append, *folded.decisions]
                todo += consequences(folded.step, "bench")
        if len(self._appends) >= _BATCH:
            await self.flush()

    async def flush(self) -> None:
        await self._log.append_all(self._appends)
        self._appends = []


def _history() -> Iterator[Envelope[Frozen]]:
    yield published(*policies(changed=False))
    number = 0
    while True:
        number += 1
        source = f"local/dev/app{number % SOURCES}"
        image, moment = f"image {number}", at(number)
        if number % 20 == 0:
            yield scanned(source, image, time=moment)
        tag = f"{number // SOURCES % 7}-{'stable' if number % 3 else 'rc'}"
        yield pushed(f"{source}:{tag}", image, time=moment)
        if number % 1000 == 0:
            yield ticked(number)


async def _write(settings: KafkaSettings, count: int) -> int:
    await create_topics(settings)
    async with KafkaLog(settings) as log:
        writer = _Writer(log)
        for event in _history():
            await writer.write(event)
            if writer.events >= count:
                break
        await writer.flush()
        return writer.events


async def _evaluate(bootstrap: str, *, from_scratch: bool) -> dict[str, Any]:
    proposed = PolicySet(policies=policies(changed=True))
    start = time.perf_counter()
    async with KafkaReadLog(KafkaSettings(bootstrap=bootstrap, partitions=PARTITIONS)) as log:
        result = await what_if(log, proposed, from_scratch=from_scratch)
    seconds = time.perf_counter() - start
    report = report_of(result)
    return {
        "evaluation": "from scratch" if from_scratch else "quick",
        "events": report.window.events,
        "repositories": report.repositories,
        "seconds": round(seconds, 2),
        "peak_mib": _peak_mib(),
        "counts": {kind: count for kind, count in report.counts.items() if count},
        "changes": sha256_hex(repr(result.changes).encode()),
    }


def _peak_mib() -> int:
    """Return the most memory that this program had. What ``getrusage`` tells counts the one that started it as well."""
    status = Path("/proc/self/status").read_text()
    (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peak) // 1024


def _child(bootstrap: str, how: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.what_if", bootstrap, how], stdout=subprocess.PIPE, check=True, timeout=7200
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> int:
    if len(sys.argv) == 3:
        print_json(asyncio.run(_evaluate(sys.argv[1], from_scratch=sys.argv[2] == "full")))
        return 0
    count = int(sys.argv[1]) if len(sys.argv) == 2 else EVENTS_COUNT
    with own_broker() as broker:
        asyncio.run(_write(KafkaSettings(bootstrap=broker.bootstrap, partitions=PARTITIONS), count))
        found = []
        for how in ("quick", "full"):
            found.append(_child(broker.bootstrap, how))
            print_json(found[-1])
    are_equal = found[0]["changes"] == found[1]["changes"]
    print_json({"bench": "what_if_equals", "value": are_equal})
    return 0 if are_equal else 1


if __name__ == "__main__":
    sys.exit(main())
