"""The gateway as a running server, for the command that serves it and for those that bring everything up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from streams.gateway.app import gateway_app
from streams.metrics import CountedLog, Metrics
from streams.provision import require_topics
from streams.serving import serving
from towline.failpoints import Failpoints
from towline.settings import Settings


@asynccontextmanager
async def gateway_running(settings: Settings) -> AsyncIterator[str]:
    """Serve the gateway on the address of the settings; give its URL.

    Raises:
        LogUnavailableError: the broker does not answer.
        InfrastructureError: the address cannot be had.
    """
    metrics = Metrics(settings.registries, hooks=settings.hooks)
    async with CountedLog(settings.kafka, metrics) as log:
        app = gateway_app(
            settings,
            log,
            lambda: datetime.now(UTC),
            Failpoints(settings.failpoints),
            partial(require_topics, settings.kafka),
            metrics=metrics,
        )
        async with serving(app, settings.gateway.host, settings.gateway.port) as url:
            yield url
