"""The one place where the gateway is put together, for production and tests alike."""

import time
from collections.abc import Callable
from datetime import datetime

from starlette.routing import Route

from streams.gateway.answers import AnsweringRouter, Endpoint
from streams.gateway.api import Api
from streams.gateway.console.console import Console
from streams.gateway.console.entrance import Entrance
from streams.gateway.console.pages import stylesheet
from streams.gateway.console.sessions import Sessions
from streams.gateway.following import Follower
from streams.gateway.health import Readiness, VerifyTopics, alive
from streams.gateway.hooks import Hooks
from streams.gateway.openapi import DOCUMENT_PATH, answer_document
from streams.gateway.questions import Questions
from streams.gateway.readers import Answer, Readers
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
    follower: Follower | None = None,
) -> AnsweringRouter:
    """Return the ASGI application.

    ``clock`` returns an aware datetime, the time of recording; ``monotonic`` returns seconds that never go back.
    ``verify_topics`` is what ``/readyz`` asks, and ``metrics`` what ``/metrics`` shows. ``follower`` has the read side;
    it is needed when the settings name readers.

    Raises:
        SettingsError: a hook's or reader's credential cannot be read, or is none that can be used.
    """
    senders = senders_of(settings.hooks, Egress.of(settings.egress), monotonic)
    hooks = Hooks(senders, log, clock, failpoints, metrics)
    readers, questions = Readers.of(settings.gateway.readers), Questions(follower)
    api, console = Api(questions), Console(questions)
    entrance = Entrance(readers, Sessions(monotonic))
    if follower is not None:
        metrics.watch_projection(lambda: follower.lag_count, lambda: follower.caught_up_at)

    def route(path: str, answer: Answer, method: str = "GET") -> Route:
        return Route(path, Endpoint(readers.guarded(path, answer, entrance.visit)), methods=[method])

    return AnsweringRouter(
        [
            route("/hooks/{source}", hooks.receive, "POST"),
            route("/hooks/{source}", hooks.answer_options, "OPTIONS"),
            route("/hooks/{source}/{secret}", hooks.receive, "POST"),
            route("/hooks/{source}/{secret}", hooks.answer_options, "OPTIONS"),
            route("/healthz", alive),
            route("/readyz", Readiness(verify_topics, monotonic).answer),
            route("/metrics", metrics.answer),
            route(DOCUMENT_PATH, answer_document),
            route("/api/v1/trail", api.trail),
            route("/api/v1/decisions", api.decisions),
            route("/api/v1/policies", api.policies),
            route("/api/v1/explain/{reference:path}", api.explain),
            route("/api/v1/lineage/{of:path}", api.lineage),
            route("/", console.lately),
            route("/explain/{reference:path}", console.explain),
            route("/lineage/{of:path}", console.lineage),
            route("/policies", console.policies),
            route("/find", console.find),
            route("/login", entrance.login, "POST"),
            route("/login", entrance.begin),
            route("/logout", entrance.logout, "POST"),
            route("/console.css", stylesheet),
        ],
        # A redirect would be built from the sender's Host header, and no sender of webhooks should follow one.
        redirect_slashes=False,
    )
