"""The one place where the gateway is put together, for production and tests alike."""

import time
from collections.abc import Callable
from datetime import datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from streams.gateway import answers
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
) -> Starlette:
    """Return the ASGI application.

    ``clock`` returns an aware datetime, the time of recording; ``monotonic`` returns seconds that never go back.
    ``verify_topics`` is what ``/readyz`` asks, and ``metrics`` what ``/metrics`` shows.

    Raises:
        SettingsError: a hook's credential cannot be read, or is none that can be used.
    """
    senders = senders_of(settings.hooks, Egress.of(settings.egress), monotonic)
    hooks = Hooks(senders, log, clock, failpoints, metrics)
    app = Starlette(
        routes=[
            Route("/hooks/{source}", hooks.receive, methods=["POST"]),
            Route("/hooks/{source}", hooks.answer_options, methods=["OPTIONS"]),
            Route("/hooks/{source}/{secret}", hooks.receive, methods=["POST"]),
            Route("/hooks/{source}/{secret}", hooks.answer_options, methods=["OPTIONS"]),
            Route("/healthz", alive),
            Route("/readyz", Readiness(verify_topics, monotonic).answer),
            Route("/metrics", metrics.answer),
            Route(DOCUMENT_PATH, answer_document),
        ],
        exception_handlers={
            answers.RefusedError: answers.on_refused,
            HTTPException: answers.on_http_error,
            Exception: answers.on_bug,
        },
    )
    # A redirect would be built from the sender's Host header, and no sender of webhooks should follow one.
    app.router.redirect_slashes = False
    return app
