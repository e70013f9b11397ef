"""The gateway as a running server, for the command that serves it and for those that bring everything up."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import structlog

from streams.gateway.app import gateway_app
from streams.gateway.following import Follower, following
from streams.kafka_read_log import KafkaReadLog
from streams.metrics import CountedLog, Metrics
from streams.projection.projection import FILE_NAME, Projection
from streams.provision import require_topics
from streams.serving import serving
from towline.failpoints import Failpoints
from towline.settings import Settings

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def gateway_running(settings: Settings) -> AsyncIterator[str]:
    """Serve the gateway on the address of the settings; give its URL.

    Raises:
        LogUnavailableError: the broker does not answer.
        ProjectionError: there are readers, and the file of the read side cannot be used.
        InfrastructureError: the address cannot be had.
    """
    metrics = Metrics(settings.registries, hooks=settings.hooks)
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(CountedLog(settings.kafka, metrics))
        app = gateway_app(
            settings,
            log,
            _now,
            Failpoints(settings.failpoints),
            partial(require_topics, settings.kafka),
            metrics=metrics,
            follower=await _follower(settings, stack) if settings.gateway.readers else None,
        )
        yield await stack.enter_async_context(serving(app, settings.gateway.host, settings.gateway.port))


def _now() -> datetime:
    return datetime.now(UTC)


async def _follower(settings: Settings, stack: AsyncExitStack) -> Follower:
    """Open the read side, and keep it up to date. Only for readers: a gateway for hooks alone does not pay for it."""
    log = await stack.enter_async_context(KafkaReadLog(settings.kafka))
    projection = await stack.enter_async_context(Projection(log, settings.data_dir / FILE_NAME, tell=_tell))
    return await stack.enter_async_context(following(Follower(projection, _now)))


def _tell(text: str) -> None:
    _log.warning(text)
