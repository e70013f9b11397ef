"""A gateway for tests, in the test's own process and without a socket."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
from starlette.applications import Starlette

from schemas.catalogue import decode
from schemas.envelope import Envelope
from schemas.references import Frozen
from streams.gateway.app import gateway_app
from streams.gateway.following import Follower
from streams.log import EventLog
from streams.metrics import Metrics
from streams.projection.projection import Projection
from streams.topics import EVENTS
from towline.failpoints import Failpoints
from towline.hook_settings import HookSettings
from towline.settings import GatewaySettings, RegistrySettings, Settings

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
#: Whoever sends is believed: these tests are about something else.
OPEN = HookSettings(registry="local", anonymous=True, trust="full", rate=100_000)
NO_READERS: Mapping[str, str | tuple[str, ...]] = {}
OPEN_HOOKS = {"local": OPEN}


async def verified() -> None:
    """Topics that are as they must be."""


def app(
    log: EventLog,
    *,
    failpoints: str = "",
    hooks: Mapping[str, HookSettings] = OPEN_HOOKS,
    verify_topics: Callable[[], Awaitable[None]] = verified,
    metrics: Metrics | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    readers: Mapping[str, str | tuple[str, ...]] = NO_READERS,
    follower: Follower | None = None,
) -> Starlette:
    settings = Settings(
        registries={"local": RegistrySettings(url="http://127.0.0.1:5000")},
        hooks=dict(hooks),
        gateway=GatewaySettings.model_validate({"readers": dict(readers)}),
    )
    return gateway_app(
        settings,
        log,
        lambda: NOW,
        Failpoints(failpoints),
        verify_topics,
        monotonic=monotonic,
        follower=follower,
        metrics=metrics or Metrics(settings.registries, hooks=settings.hooks),
    )


@asynccontextmanager
async def calling(application: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app. What the app raises after its answer is left to the server, as in production."""
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@asynccontextmanager
async def reading(
    log: EventLog,
    token: str,
    *,
    metrics: Metrics | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[tuple[httpx.AsyncClient, Follower]]:
    """A client that shows ``token``, the one of the reader ``auditor``, to a gateway that has read all of the log."""
    async with Projection(log) as projection:
        follower = Follower(projection, lambda: NOW)
        await follower.look()
        application = app(
            log, readers={"auditor": "env:AUDITOR"}, follower=follower, metrics=metrics, monotonic=monotonic
        )
        async with calling(application) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            yield client, follower


@asynccontextmanager
async def visiting(
    log: EventLog, token: str, *, monotonic: Callable[[], float] = time.monotonic
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.Response]]:
    """A browser, as far as it is one, that sent ``token`` with the form of the console; and what it was answered."""
    async with reading(log, token, monotonic=monotonic) as (client, _):
        client.headers.pop("Authorization")
        client.headers["Origin"] = str(client.base_url).rstrip("/")
        yield client, await client.post("/login", data={"token": token, "next": "/"})


async def events_in(log: EventLog) -> list[Envelope[Frozen]]:
    """All events of the log, partition by partition."""
    found = []
    for partition in range(await log.partitions(EVENTS)):
        end = await log.high_watermark(EVENTS, partition)
        async for record in log.read(EVENTS, partition, 0, end):
            assert record.value is not None
            found.append(decode(record.value))
    return found
