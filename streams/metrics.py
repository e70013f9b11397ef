"""Metrics in the text format of Prometheus: what a process has written, and what an evaluator has applied of the log.

Every label has few values, whatever the log holds: registries are those of the settings, and of everything else that
an event may name freely the first few values count, and the rest together as ``other``. No repository, no tag, no
credential is ever a label. Counters begin at nothing with each process; an event that is applied again after a crash
counts again.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.catalogue import type_of
from schemas.envelope import Envelope
from schemas.events import (
    ClockTicked,
    ImageObserved,
    ImagePushed,
    PollCompleted,
    PollFailed,
    RemovalFailed,
    RemovalSkipped,
    TagRemoved,
    TransferCompleted,
    TransferFailed,
    TransferSkipped,
)
from schemas.instants import parse_instant
from schemas.outcomes import Outcome
from schemas.references import Frozen
from schemas.webhooks import WebhookDelivered, WebhookFailed
from streams.kafka_log import KafkaLog
from streams.log import Append, Position
from streams.routing import repository_of
from streams.transfers.polls import SUPERSEDED
from towline import limits
from towline.policy.agenda import News
from towline.settings import KafkaSettings

_OTHER: Final = "other"

#: What ended, and how.
_ENDS: Final[Mapping[type[Outcome], tuple[str, str]]] = {
    TransferCompleted: ("copy", "completed"),
    TransferSkipped: ("copy", "skipped"),
    TransferFailed: ("copy", "failed"),
    TagRemoved: ("removal", "completed"),
    RemovalSkipped: ("removal", "skipped"),
    RemovalFailed: ("removal", "failed"),
}


class Metrics:
    """The metrics of one process. ``registries``, ``receivers`` and ``hooks`` are the names that may be labels."""

    def __init__(
        self, registries: Collection[str], receivers: Collection[str] = (), hooks: Collection[str] = ()
    ) -> None:
        self._registries = frozenset(registries)
        self._receivers = frozenset(receivers)
        self._hooks = frozenset(hooks)
        self._causes: set[str] = set()
        self._series: dict[tuple[Counter, tuple[str, ...]], Counter] = {}
        self._all = kept = CollectorRegistry()
        ProcessCollector(registry=kept)
        self._written = Counter(
            "towline_records_written",
            "Records that the broker acknowledged, by topic; those of towline.deadletters are dead letters.",
            ["topic"],
            registry=kept,
        )
        self._applied = Counter(
            "towline_events_applied", "Events of the log that were applied, by type.", ["type"], registry=kept
        )
        self._pushes = Counter(
            "towline_pushes",
            "Pushes that were new to the log: told, or missed by webhooks and found by a reconciliation.",
            ["registry", "heard"],
            registry=kept,
        )
        self._deletions = Counter(
            "towline_deletions",
            "Events of deleted tags that were new to the log, a page of a listing being one: told, or missed.",
            ["registry", "heard"],
            registry=kept,
        )
        self._polls = Counter(
            "towline_polls", "Sources that were asked, by how that ended.", ["registry", "outcome"], registry=kept
        )
        self._transfers = Counter(
            "towline_transfers",
            "Commands about a target tag that ended: copies and removals.",
            ["work", "outcome", "cause"],
            registry=kept,
        )
        self._webhooks = Counter(
            "towline_webhooks",
            "Webhooks that ended: delivered, or failed and why.",
            ["receiver", "outcome", "cause"],
            registry=kept,
        )
        self._deliveries = Counter(
            "towline_deliveries",
            "Requests at hooks, by what they were answered.",
            ["hook", "result"],
            registry=kept,
        )
        self._clock = Gauge(
            "towline_clock_timestamp_seconds",
            "The log's time up to which a partition is applied; the present minus this is how far it is behind.",
            ["partition"],
            registry=kept,
        )
        self._sealed = Gauge(
            "towline_sealed_records", "Decisions of a partition that a checkpoint covers.", ["partition"], registry=kept
        )
        self._sealed_time = Gauge(
            "towline_sealed_timestamp_seconds",
            "When the last decision was written that a checkpoint of the partition covers.",
            ["partition"],
            registry=kept,
        )

    def wrote(self, records: Sequence[Append]) -> None:
        """Count records that were acknowledged."""
        for record in records:
            self._count(self._written, record.topic)

    def delivered(self, hook: str, result: str) -> None:
        """Count a request at a hook; ``result`` is one of few words."""
        self._count(self._deliveries, hook if hook in self._hooks else _OTHER, result)

    def applied(self, partition: int, event: Envelope[Frozen], news: News | None) -> None:
        """Count an event of a partition, and whether it was a change that the log did not know."""
        data = event.data
        self._count(self._applied, type_of(data))
        if news is not None and (repository := repository_of(event)) is not None:
            counter = self._pushes if isinstance(data, ImagePushed | ImageObserved) else self._deletions
            self._count(counter, self._registry(repository.registry), news)
        match data:
            case ClockTicked():
                self._clock.labels(str(partition)).set(parse_instant(data.now).timestamp())
            # Of a glob each repository completes too; the poll itself names none.
            case PollCompleted() if data.repository == data.source.repository:
                self._count(self._polls, self._registry(data.source.registry), "completed")
            case PollFailed() if data.cause != SUPERSEDED:
                self._count(self._polls, self._registry(data.source.registry), "failed")
            case WebhookDelivered():
                self._count(self._webhooks, self._receiver(data.receiver), "delivered", "")
            case WebhookFailed():
                self._count(self._webhooks, self._receiver(data.receiver), "failed", self._cause(data))
            case Outcome():
                self._count(self._transfers, *_ENDS[type(data)], self._cause(data))
            case _:
                pass

    def left(self, partition: int) -> None:
        """Tell nothing of a partition any more: it is another process's."""
        self._clock.remove_by_labels({"partition": str(partition)})

    def sealed(self, partition: int, records: int, time: str | None) -> None:
        """Tell how far a partition is sealed; ``time`` is that of its last checkpoint, None before the first."""
        self._sealed.labels(str(partition)).set(records)
        if time is not None:
            self._sealed_time.labels(str(partition)).set(parse_instant(time).timestamp())

    def unsealed(self, partition: int) -> None:
        """Tell nothing of a partition's seal any more: it is another process's."""
        self._sealed.remove_by_labels({"partition": str(partition)})
        self._sealed_time.remove_by_labels({"partition": str(partition)})

    def watch_waiting(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Tell from now on how many webhooks wait for each receiver, as ``counts`` has it by name."""

        def by_label() -> dict[str, int]:
            found = dict.fromkeys(self._receivers, 0)
            for name, count in counts().items():
                label = self._receiver(name)
                found[label] = found.get(label, 0) + count
            return found

        self._all.register(_Waiting(by_label))

    def watch_projection(self, lag_count: Callable[[], int], caught_up_at: Callable[[], float]) -> None:
        """Tell from now on how far the read side is behind, and when it was at the end of the log last."""
        lag = Gauge(
            "towline_projection_lag_records",
            "Records of the log that the read side knew of and had not read.",
            registry=self._all,
        )
        lag.set_function(lag_count)
        caught_up = Gauge(
            "towline_projection_caught_up_timestamp_seconds",
            "When the read side was at the end of the log last; 0 before.",
            registry=self._all,
        )
        caught_up.set_function(caught_up_at)

    def exposition(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self._all)

    def _count(self, counter: Counter, *labels: str) -> None:
        # Finding the series of some labels costs the library three times what counting does.
        series = self._series.get((counter, labels))
        if series is None:
            series = self._series[counter, labels] = counter.labels(*labels)
        series.inc()

    def _registry(self, name: str) -> str:
        return name if name in self._registries else _OTHER

    def _receiver(self, name: str) -> str:
        return name if name in self._receivers else _OTHER

    def _cause(self, data: Outcome | WebhookFailed) -> str:
        if getattr(data, "superseded_by", None) is not None:
            return SUPERSEDED
        cause = str(getattr(data, "cause", ""))
        if cause not in self._causes and len(self._causes) >= limits.metric_cause_count:
            return _OTHER
        self._causes.add(cause)
        return cause

    async def answer(self, _: Request) -> Response:
        """Answer ``/metrics``."""
        return Response(self.exposition(), media_type=CONTENT_TYPE_LATEST)


class _Waiting(Collector):
    """How many webhooks wait, counted when somebody asks."""

    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "towline_webhooks_waiting",
            "Webhooks that wait for a turn at their receiver or for their next attempt.",
            labels=["receiver"],
        )
        for name, count in sorted(self._counts().items()):
            family.add_metric([name], count)
        yield family


class CountedLog(KafkaLog):
    """The log on Kafka, with what is written to it counted."""

    def __init__(self, settings: KafkaSettings, metrics: Metrics) -> None:
        super().__init__(settings)
        self._metrics = metrics

    async def append_all(self, records: Sequence[Append]) -> list[Position]:
        """See EventLog."""
        places = await super().append_all(records)
        self._metrics.wrote(records)
        return places


def metrics_app(metrics: Metrics) -> Starlette:
    """Return an ASGI app that answers ``/metrics``, and nothing else."""
    return Starlette(routes=[Route("/metrics", metrics.answer)])
