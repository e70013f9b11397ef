"""Webhooks in the metrics: how they ended, and how many wait, by receivers of the settings and no other."""

from schemas.envelope import Envelope
from schemas.references import Frozen
from schemas.webhooks import WebhookDelivered, WebhookFailed
from streams.metrics import Metrics
from tests.support.builders import envelope
from tests.unit.test_metrics import series, take

MEMBERS = {"command_id": "0" * 64, "cause_id": "1" * 64, "subscription": "one"}


def delivered(receiver: str, seed: str) -> Envelope[Frozen]:
    data = WebhookDelivered(**MEMBERS, receiver=receiver, attempts=1, status_code=200)
    return envelope(data, subject="one", key=seed)


def failed(receiver: str, cause: str) -> Envelope[Frozen]:
    data = WebhookFailed(**MEMBERS, receiver=receiver, attempts=11, cause=cause, detail="why", retryable=True)
    return envelope(data, subject="one", key=cause)


def test_webhooks_count_by_receiver_and_by_how_they_ended() -> None:
    metrics = Metrics([], ["ci"])
    take(metrics, delivered("ci", "a"), delivered("ci", "b"), delivered("removed", "c"), failed("ci", "exhausted"))
    assert series(metrics, "towline_webhooks_total") == {
        # By cause, outcome, receiver.
        ("", "delivered", "ci"): 2,
        ("", "delivered", "other"): 1,
        ("exhausted", "failed", "ci"): 1,
    }


def test_those_that_wait_are_counted_when_somebody_asks() -> None:
    metrics, waiting = Metrics([], ["ci", "chat"]), {"ci": 3, "removed": 2, "unknown": 5}
    metrics.watch_waiting(lambda: waiting)
    assert series(metrics, "towline_webhooks_waiting") == {("chat",): 0, ("ci",): 3, ("other",): 7}
    waiting["ci"] = 0
    assert series(metrics, "towline_webhooks_waiting")[("ci",)] == 0
