"""Metrics: what is counted, and that no event can make more series than are meant."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agents.evaluator import Evaluator
from agents.table import MemoryTable
from schemas.catalogue import EVENT_TYPES
from schemas.envelope import Envelope
from schemas.events import PollCompleted, PollFailed, TagsListed
from schemas.examples import EXAMPLES
from schemas.patterns import SourcePattern
from schemas.references import Frozen, Repository
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.metrics import Metrics, metrics_app
from streams.topics import DEADLETTERS, EVENTS
from tests.support.builders import (
    at,
    command,
    completed,
    deleted,
    envelope,
    failed,
    outcome,
    pushed,
    record_events,
    skipped,
    ticked,
)
from tests.support.facts import observed
from tests.support.gateways import app, calling
from tests.support.hints import looked, missing
from tests.unit.agents.harness import PARTITIONS, Run
from towline import limits


def series(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The values of one metric by its labels, which are in the order of their names."""
    return {
        tuple(label for _, label in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
        if sample.name == name
    }


def take(metrics: Metrics, *events: Envelope[Frozen]) -> None:
    for event in events:
        metrics.applied(0, event, None)


def poll_failed(source: str, cause: str) -> Envelope[Frozen]:
    data = PollFailed(
        command_id="0" * 64, source=SourcePattern.parse(source), cause=cause, detail="why", retryable=True, attempts=5
    )
    return envelope(data, subject=source, key=f"{source} {cause}")


def poll_completed(source: str, repository: str | None) -> Envelope[Frozen]:
    data = PollCompleted(
        command_id="0" * 64,
        source=SourcePattern.parse(source),
        repository=None if repository is None else Repository.parse(repository),
        tags=1,
    )
    return envelope(data, subject=source, key=f"{source} {repository}")


def test_every_type_of_event_can_be_counted() -> None:
    metrics = Metrics(["local", "remote"])
    events = [event for name, event in EXAMPLES.items() if name in EVENT_TYPES]
    take(metrics, *events)
    assert series(metrics, "towline_events_applied_total") == {(name,): 1.0 for name in EVENT_TYPES}


def test_a_poll_counts_once_by_how_it_ended() -> None:
    metrics = Metrics(["local", "remote"])
    take(
        metrics,
        poll_completed("local/app", "local/app"),
        poll_completed("local/lib/*", "local/lib/one"),
        poll_completed("local/lib/*", "local/lib/two"),
        poll_completed("local/lib/*", None),
        poll_failed("remote/app", "denied"),
        poll_failed("remote/app", "superseded"),
    )
    assert series(metrics, "towline_polls_total") == {("completed", "local"): 2.0, ("failed", "remote"): 1.0}


def test_transfers_count_by_outcome_and_cause() -> None:
    metrics = Metrics([])
    copy = command("local/dev/app:1", "local/qa/app:1", "one")
    superseded = skipped(copy.id, copy.data).model_copy(update={"superseded_by": "0" * 64})
    ends = (completed(copy.id, copy.data), skipped(copy.id, copy.data), superseded, failed(copy.id, copy.data))
    take(metrics, *(outcome(end) for end in ends))
    assert series(metrics, "towline_transfers_total") == {
        ("", "completed", "copy"): 1.0,
        ("", "skipped", "copy"): 1.0,
        ("superseded", "skipped", "copy"): 1.0,
        ("source-gone", "failed", "copy"): 1.0,
    }


def test_names_that_anybody_can_write_make_no_more_series_than_are_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "metric_cause_count", 3)
    metrics = Metrics(["local"])
    copy = command("local/dev/app:1", "local/qa/app:1", "one")
    for number in range(50):
        take(metrics, poll_failed(f"registry{number}/app", f"cause{number}"))
        take(metrics, poll_completed(f"registry{number}/app", f"registry{number}/app"))
        take(metrics, outcome(failed(copy.id, copy.data).model_copy(update={"cause": f"cause{number}"})))
    assert set(series(metrics, "towline_polls_total")) == {("completed", "other"), ("failed", "other")}
    causes = {cause for cause, *_ in series(metrics, "towline_transfers_total")}
    assert causes == {"cause0", "cause1", "cause2", "other"}
    assert "registry49" not in metrics.exposition().decode()


def test_written_records_count_by_topic_dead_letters_among_them() -> None:
    metrics = Metrics([])
    metrics.wrote([Append(EVENTS, b"a", b"1"), Append(EVENTS, b"b", b"2"), Append(DEADLETTERS, b"c", b"3")])
    assert series(metrics, "towline_records_written_total") == {(EVENTS,): 2.0, (DEADLETTERS,): 1.0}


def run_of(log: MemoryLog, metrics: Metrics, table: MemoryTable) -> Run:
    return Run(log, table, handler=Evaluator(PARTITIONS, metrics))


async def test_pushes_that_webhooks_told_or_missed_count_by_registry() -> None:
    log, metrics = MemoryLog(partitions=PARTITIONS), Metrics(["local"])
    repository = Repository.parse("local/dev/app")
    source = SourcePattern.parse(str(repository))
    polled = PollCompleted(command_id="0" * 64, source=source, repository=repository, tags=1)
    listed = TagsListed(
        command_id="0" * 64, repository=repository, cause="reconciliation", after=None, until=None, tags=("1", "2")
    )
    await record_events(
        log,
        pushed("local/dev/app:1", "one"),
        pushed("local/dev/app:1", "one", key="delivered again, with another id"),
        pushed("local/dev/app:3", "three"),
        envelope(polled, subject="local/dev/app", key="first poll"),
        observed("local/dev/app:1", "one", time=at(10), cause="reconciliation"),
        observed("local/dev/app:2", "two", time=at(10), cause="reconciliation"),
        envelope(listed, subject="local/dev/app", key="listing", time=at(10)),
        deleted("local/dev/app:2", time=at(20)),
        observed("elsewhere/app:1", "one", time=at(10), cause="interval"),
        pushed("elsewhere/app:1", "two", time=at(20)),
        partitions=PARTITIONS,
    )
    run = run_of(log, metrics, MemoryTable())
    await run.shell.take_over(range(PARTITIONS))
    await run.drain()
    await run.shell.close()
    assert run.failures == []
    assert series(metrics, "towline_pushes_total") == {
        ("told", "local"): 2.0,
        ("missed", "local"): 1.0,
        ("told", "other"): 1.0,
    }
    assert series(metrics, "towline_deletions_total") == {("missed", "local"): 1.0, ("told", "local"): 1.0}


async def test_pushes_and_deletions_that_a_hint_had_somebody_look_at_were_told() -> None:
    log, metrics = MemoryLog(partitions=PARTITIONS), Metrics(["local"])
    await record_events(
        log,
        looked("local/dev/app:1", "one"),
        looked("local/dev/app:1", "one", key="hinted at twice"),
        missing("local/dev/app:1", key="gone", time=at(10)),
        partitions=PARTITIONS,
    )
    run = run_of(log, metrics, MemoryTable())
    await run.shell.take_over(range(PARTITIONS))
    await run.drain()
    await run.shell.close()
    assert run.failures == []
    assert series(metrics, "towline_pushes_total") == {("told", "local"): 1.0}
    assert series(metrics, "towline_deletions_total") == {("told", "local"): 1.0}


async def test_an_evaluator_counts_what_it_applies_and_tells_how_far_it_is() -> None:
    log, metrics = MemoryLog(partitions=PARTITIONS), Metrics(["local"])
    await record_events(log, pushed("local/dev/app:1", "one"), ticked(60), partitions=PARTITIONS)
    await log.append(Append(EVENTS, b"x", b"no event", 0))
    run = run_of(log, metrics, MemoryTable())
    await run.shell.take_over(range(PARTITIONS))
    await run.drain()
    assert series(metrics, "towline_events_applied_total") == {
        ("image.pushed",): 1.0,
        ("clock.ticked",): float(PARTITIONS),
    }
    clocks = series(metrics, "towline_clock_timestamp_seconds")
    assert set(clocks) == {(str(partition),) for partition in range(PARTITIONS)}
    assert set(clocks.values()) == {1795507260.0}, at(60)
    await run.shell.give_up([1])
    assert (("1",) in series(metrics, "towline_clock_timestamp_seconds")) is False
    await run.shell.close()
    assert series(metrics, "towline_clock_timestamp_seconds") == {}


async def test_what_is_folded_anew_to_rebuild_a_state_counts_no_second_time() -> None:
    log, table = MemoryLog(partitions=PARTITIONS), MemoryTable()
    first = run_of(log, Metrics([]), table)
    await first.shell.take_over(range(PARTITIONS))
    # Apart: what the last journal has is not read from the table.
    for event in (pushed("local/dev/app:1", "one"), ticked(60)):
        await record_events(log, event, partitions=PARTITIONS)
        await first.drain()
    await first.shell.close()
    for partition in range(PARTITIONS):
        torn = [(key, value + b" ") for key, value in table.items(partition) if not key.startswith(b"\0")]
        await table.write(partition, torn)
    metrics = Metrics([])
    second = run_of(log, metrics, table)
    await second.shell.take_over(range(PARTITIONS))
    await second.drain()
    await record_events(log, ticked(120), partitions=PARTITIONS)
    await second.drain()
    await second.shell.close()
    assert second.failures == []
    assert series(metrics, "towline_events_applied_total") == {("clock.ticked",): float(PARTITIONS)}


async def test_the_gateway_and_workers_answer_with_the_text_format_of_prometheus() -> None:
    metrics = Metrics(["local"])
    take(metrics, poll_completed("local/app", "local/app"))
    transport = httpx.ASGITransport(metrics_app(metrics))
    async with (
        calling(app(MemoryLog())) as gateway,
        httpx.AsyncClient(transport=transport, base_url="http://worker") as worker,
    ):
        for client in (gateway, worker):
            answer = await client.get("/metrics")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/plain; version=")
            assert "towline_polls_total" in answer.text
            assert (await client.post("/metrics")).status_code == 405
        assert 'towline_polls_total{outcome="completed",registry="local"} 1.0' in (await worker.get("/metrics")).text
        assert (await worker.get("/")).status_code == 404
