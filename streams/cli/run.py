"""``towline up``, ``gateway`` and ``worker``: the long-running parts."""

import asyncio
import contextlib
import signal
import tempfile
from contextlib import AsyncExitStack
from typing import Annotated

import typer
import uvloop

from streams.audit.keeping import sealing_key
from streams.brokers.embedded import FORGETS, embedded_broker
from streams.cli.output import note, run
from streams.logging import configure_logging
from streams.provision import create_topics, require_topics
from streams.running import gateway_running
from streams.workers import ROLES, roles_for, workers
from towline.errors import MisuseError
from towline.settings import KafkaSettings, Settings, child_environment, load_settings


async def _until_stopped(*others: "asyncio.Task[None]") -> None:
    """Wait for SIGTERM or SIGINT, or for another task to end, whose error is raised."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    waiting = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([waiting, *others], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (waiting, *others):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(task, return_exceptions=True)


def gateway() -> None:
    """Take webhooks: POST /hooks/SOURCE."""
    configure_logging()
    run(_gateway(), uvloop.new_event_loop)


async def _gateway() -> None:
    settings = load_settings()
    await require_topics(settings.kafka)
    async with gateway_running(settings) as url:
        for name, hook in sorted(settings.hooks.items()):
            secret, whose = "/SECRET" if hook.path else "", " of anybody" if hook.anonymous else ""
            note(f"taking webhooks{whose} at {url}/hooks/{name}{secret}")
        if not settings.hooks:
            note(f"serving {url}, but the settings have no hooks: nothing can be taken")
        await _until_stopped()


def worker(
    role: Annotated[
        str, typer.Argument(metavar="[evaluate|transfer|observe|notify|seal|all]", help="Which work to do.")
    ] = "all",
) -> None:
    """Do the work: evaluate policies, transfer images, look at registries, send webhooks, seal, or all of it."""
    run(_worker(role))


async def _worker(role: str) -> None:
    settings = load_settings()
    roles = _all_roles(settings) if role == "all" else (role,)
    if not set(roles) <= set(ROLES):
        raise MisuseError(f"{role!r} is no role: {', '.join(ROLES)} or all")
    if role == "seal":
        sealing_key(settings.audit)  # Without a key it is refused here, and not by a process of its own.
    await require_topics(settings.kafka)
    async with workers(roles, child_environment()) as group:
        await _until_stopped(asyncio.create_task(group.until_one_ends()))


def _all_roles(settings: Settings) -> tuple[str, ...]:
    if settings.audit.key is None:
        note("decisions are not sealed: make a key with towline audit key FILE, and name it in audit.key")
    return roles_for(settings)


def up() -> None:
    """Everything in one go: a broker unless one is set, the gateway and the workers."""
    configure_logging()
    run(_up(), uvloop.new_event_loop)


async def _up() -> None:
    settings = load_settings()
    async with AsyncExitStack() as stack:
        environment: dict[str, str] = {}
        if settings.kafka.bootstrap is None:
            bootstrap = await stack.enter_async_context(embedded_broker())
            # Local state of another broker's life would not fit to a log that begins anew.
            data_dir = stack.enter_context(tempfile.TemporaryDirectory(prefix="towline-"))
            environment = {"TOWLINE_KAFKA_BOOTSTRAP": bootstrap, "TOWLINE_DATA_DIR": data_dir}
            settings = settings.model_copy(
                update={"kafka": KafkaSettings(**settings.kafka.model_dump() | {"bootstrap": bootstrap})}
            )
            note(FORGETS)
            note(f"for other commands: export TOWLINE_KAFKA_BOOTSTRAP={bootstrap}")
        await create_topics(settings.kafka)
        await require_topics(settings.kafka)
        url = await stack.enter_async_context(gateway_running(settings))
        group = await stack.enter_async_context(workers(_all_roles(settings), child_environment(**environment)))
        note(f"up: webhooks at {url}/hooks/..., Ctrl-C ends it")
        await _until_stopped(asyncio.create_task(group.until_one_ends()))
