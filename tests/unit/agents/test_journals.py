"""One journal holds the changes of several records and is one record itself, so it must never be larger than that."""

import json
from collections.abc import Sequence

import pytest

from agents.table import Entry, MemoryTable
from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.facts import SbomSubmitted
from streams.memory_log import MemoryLog
from streams.routing import event_append
from streams.topics import EVENTS, partition_for, repository_key
from tests.support.builders import at
from tests.support.checkers import check_determinism, records
from tests.unit.agents.harness import PARTITIONS, Run, until
from towline import limits

COUNT = 60


class Measured(MemoryTable):
    """Notes the largest entry."""

    largest_bytes = 0

    async def write(self, partition: int, entries: Sequence[Entry]) -> None:
        self.largest_bytes = max([self.largest_bytes, *(len(value or b"") for _, value in entries)])
        await super().write(partition, entries)


def sbom(number: int) -> Envelope[SbomSubmitted]:
    data = {
        "repository": "local/dev/app",
        "digest": f"sha256:{number:064x}",
        "format": "spdx 2.3",
        "components": [{"name": f"package-{place}", "version": "1.0-1ubuntu1"} for place in range(50)],
    }
    content = SbomSubmitted.model_validate_json(json.dumps(data))
    return Envelope(content_id("test", str(number)), "test", "local/dev/app", at(number), content)


async def backlog(monkeypatch: pytest.MonkeyPatch) -> tuple[MemoryLog, int]:
    """A log with more facts than fit into one record, and the partition that they are in."""
    appends = [event_append(sbom(number)) for number in range(COUNT)]
    monkeypatch.setattr(limits, "staged_bytes", sum(append.size_bytes for append in appends) // 8)
    monkeypatch.setattr(limits, "staged_entry_bytes", 200)
    log = MemoryLog(partitions=PARTITIONS)
    await log.append_all(appends)
    return log, partition_for(repository_key(sbom(0).data.repository), PARTITIONS)


async def test_records_that_come_together_are_written_in_journals_of_bounded_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, home = await backlog(monkeypatch)
    table = Measured()
    run = Run(log, table)
    await run.shell.take_over([home])
    await run.deliver_together(await records(log, EVENTS, home))
    await until(run.is_settled, "all acknowledged")
    await run.shell.close()
    assert run.failures == []
    assert 0 < table.largest_bytes <= limits.staged_bytes
    await check_determinism(log)


async def test_a_gap_is_healed_in_journals_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    log, home = await backlog(monkeypatch)
    table = Measured()
    run = Run(log, table)
    *_, last = await records(log, EVENTS, home)
    await run.deliver(last)
    await until(run.is_settled, "the last record acknowledged")
    await run.shell.close()
    assert run.failures == []
    assert 0 < table.largest_bytes <= limits.staged_bytes
