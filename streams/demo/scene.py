"""The scene of the demo: an embedded broker, two local registries, the gateway and the workers."""

import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from streams.brokers.embedded import embedded_broker
from streams.kafka_log import KafkaLog
from streams.local_registry import LocalRegistry
from streams.projection.projection import Projection
from streams.provision import create_topics
from streams.running import gateway_running
from streams.serving import serving
from streams.workers import Workers, roles_for, workers
from towline.net.egress.guard import Egress
from towline.net.post import post_json
from towline.registry import Registries
from towline.settings import Settings, isolated_environment, load_settings

HOOK: Final = "first"
_HOOK_FILE: Final = "hook-token"

#: Short, so that the demo does not wait for what a long-running system can wait for.
_PARTITIONS: Final = 4
_SESSION_TIMEOUT_SECONDS: Final = 4
_TICK_SECONDS: Final = 2


@dataclass(frozen=True, slots=True)
class Scene:
    """What the demo plays with."""

    settings: Settings
    log: KafkaLog
    projection: Projection
    registries: Registries
    workers: Workers
    #: Where the workers log.
    worker_log: Path


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """Build everything, yield it, and take it down again.

    Raises:
        MisuseError: the embedded broker is not installed.
        InfrastructureError: a part does not start.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="towline-demo-")))
        bootstrap = await stack.enter_async_context(embedded_broker())
        hook: dict[str, str] = {}
        token = secrets.token_urlsafe()
        (folder / _HOOK_FILE).write_text(token, encoding="utf-8")

        async def notify(body: dict[str, Any]) -> None:
            headers = {"Authorization": f"Bearer {token}"}
            await post_json(hook["url"], body, headers, Egress().with_server(hook["url"]))

        first = await stack.enter_async_context(serving(LocalRegistry(notify)))
        second = await stack.enter_async_context(serving(LocalRegistry()))
        settings = _settings(folder, bootstrap, {"first": first, "second": second})
        await create_topics(settings.kafka)
        gateway = await stack.enter_async_context(gateway_running(settings))
        hook["url"] = f"{gateway}/hooks/{HOOK}"
        log = await stack.enter_async_context(KafkaLog(settings.kafka))
        projection = await stack.enter_async_context(Projection(log))
        worker_log = folder / "workers.log"
        group = await stack.enter_async_context(
            workers(
                roles_for(settings),
                # What the shell has set for a real system is not for the demo.
                isolated_environment(TOWLINE_SETTINGS=str(folder / "towline.yaml")),
                log_to=stack.enter_context(worker_log.open("wb")),
            )
        )
        registries = await stack.enter_async_context(Registries(settings.registries, egress=settings.egress))
        yield Scene(settings, log, projection, registries, group, worker_log)


def _settings(folder: Path, bootstrap: str, urls: dict[str, str]) -> Settings:
    document = {
        "kafka": {"bootstrap": bootstrap, "partitions": _PARTITIONS},
        "registries": {name: {"url": url} for name, url in urls.items()},
        "hooks": {HOOK: {"registry": "first", "dialect": "distribution", "token": f"file:{folder / _HOOK_FILE}"}},
        "worker": {"session_timeout_seconds": _SESSION_TIMEOUT_SECONDS, "tick_seconds": _TICK_SECONDS},
        "gateway": {"port": 0},
        "data_dir": str(folder / "data"),
    }
    # JSON is YAML.
    (folder / "towline.yaml").write_bytes(orjson.dumps(document))
    return load_settings(**document)
