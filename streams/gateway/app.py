"""The one place where the gateway is put together, for production and tests alike."""

import time
from collections.abc import Callable
from datetime import datetime

from starlette.routing import Route

from streams.gateway.answers import AnsweringRouter, Endpoint
from streams.gateway.health import Readiness, VerifyTopics, alive
from streams.gateway.hooks import Hooks
from streams.gateway.openapi import DOCUMENT_PATH, answer_document
from streams.gateway.senders import senders_of
from streams.log import EventLog
from streams.metrics import Metrics
from towline.failpoints import Failpoints
from towline.net.egress.guard import Egress
from towline.settings import Settings


def gateway_app(
    settings: Settings,
    log: EventLog,
    clock: Callable[[], datetime],
    failpoints: Failpoints,
    verify_topics: VerifyTopics,
    *,
    metrics: Metrics,
    monotonic: Callable[[], float] = time.monotonic,
) -> AnsweringRouter:
    """Return the ASGI application.

    ``clock`` returns an aware datetime, the time of recording; ``monotonic`` returns seconds that never go back.
    ``verify_topics`` is what ``/readyz`` asks, and ``metrics`` what ``/metrics`` shows.

    Raises:
        SettingsError: a hook's credential cannot be read, or is none that can be used.
    """
    senders = senders_of(settings.hooks, Egress.of(settings.egress), monotonic)
    hooks = Hooks(senders, log, clock, failpoints, metrics)
    return AnsweringRouter(
        [
            Route("/hooks/{source}", Endpoint(hooks.receive), methods=["POST"]),
            Route("/hooks/{source}", Endpoint(hooks.answer_options), methods=["OPTIONS"]),
            Route("/hooks/{source}/{secret}", Endpoint(hooks.receive), methods=["POST"]),
            Route("/hooks/{source}/{secret}", Endpoint(hooks.answer_options), methods=["OPTIONS"]),
            Route("/healthz", Endpoint(alive), methods=["GET"]),
            Route("/readyz", Endpoint(Readiness(verify_topics, monotonic).answer), methods=["GET"]),
            Route("/metrics", Endpoint(metrics.answer), methods=["GET"]),
            Route(DOCUMENT_PATH, Endpoint(answer_document), methods=["GET"]),
        ],
        # A redirect would be built from the sender's Host header, and no sender of webhooks should follow one.
        redirect_slashes=False,
    )
