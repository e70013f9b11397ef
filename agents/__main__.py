"""``python -m agents evaluate|transfer|observe|notify|seal``: one worker process. ``towline worker`` starts it."""

import asyncio
import importlib.metadata
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import structlog
import uvloop

from agents.app import Attachment, attach, make_app, run_app
from agents.background import in_background
from agents.command_runner import CommandRunner
from agents.evaluator import Evaluator
from agents.intake import Intake
from agents.notifier import Notifier
from agents.observer import Observation, make_observer
from agents.retry import retrying
from agents.seal import SealSource
from agents.sealer import Sealer
from agents.shell import Shell
from agents.table import FaustTable
from agents.ticker import tick_forever
from agents.transferrer import Work, make_transferrer
from schemas.commands import CopyImage, RemoveTag
from streams.audit.keeping import CheckpointFile, key_files, sealing_key
from streams.kafka_log import KafkaLog
from streams.logging import configure_logging
from streams.metrics import CountedLog, Metrics, metrics_app
from streams.provision import require_topics
from streams.serving import serving
from streams.topics import EVENTS
from streams.transfers.reductions import Reductions
from streams.workers import ROLES
from towline.audit.checkpoints import load_public_keys
from towline.errors import InfrastructureError, MisuseError, SettingsError
from towline.failpoints import Failpoints
from towline.net.egress.guard import Egress
from towline.policy.publish import PROPOSAL_PARTITION
from towline.receivers.sending import Receivers
from towline.registry import (
    Attempts,
    CopyEngine,
    CopyProgress,
    Registries,
    TransferOutcome,
    carry_out,
    remove,
)
from towline.registry.attestation import attestor_of
from towline.registry.cosign import load_keys
from towline.settings import Settings, load_settings

_logger = structlog.get_logger(__name__)


class _Failure:
    """The first failure that stops the process."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.stop = asyncio.Event()

    def __call__(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
            _logger.error("stopping without acknowledging", error=repr(error), exc_info=error)
        self.stop.set()


def _refuse_foreign_packages() -> None:
    """Fail clearly when another distribution provides a package of ours.

    Raises:
        SettingsError: one does.
    """
    owners = importlib.metadata.packages_distributions()
    for package in ("agents", "streams", "schemas", "towline"):
        others = set(owners.get(package, ())) - {"towline"}
        if others:
            raise SettingsError(f"package {package!r} also comes from {', '.join(sorted(others))}: uninstall it")


async def _evaluate(settings: Settings, log: KafkaLog, metrics: Metrics, failure: _Failure) -> None:
    partitions = await log.partitions(EVENTS)
    failpoints = Failpoints(settings.failpoints)
    app = make_app("towline-evaluate", settings, partitions)

    def shell_of(handler: Evaluator | Intake, table: FaustTable) -> Shell:
        return Shell(handler, table, log, failpoints, failure)

    evaluator, intake = Evaluator(partitions, metrics, settings.worker.quarantined), Intake()
    shells = {
        handler.topic: attach(
            app, Attachment(handler.name, handler.topic, table, partial(shell_of, handler)), log, partitions
        )
        for handler, table in ((evaluator, "state"), (intake, "intake"))
    }
    ticking = tick_forever(
        log, partitions, settings.worker.tick_seconds, lambda: shells[EVENTS].owns(PROPOSAL_PARTITION)
    )
    async with in_background(ticking, "ticker", failure):
        await run_app(app, shells, failure, failure.stop)


async def _transfer(settings: Settings, log: KafkaLog, _: Metrics, failure: _Failure) -> None:
    failpoints = Failpoints(settings.failpoints)
    async with Registries(settings.registries, egress=settings.egress) as registries:
        attestor = attestor_of(settings.attestation, settings.registries)
        engine = CopyEngine(registries, failpoints, attestor=attestor)

        async def copy(command_id: str, command: CopyImage, progress: CopyProgress) -> TransferOutcome:
            return await carry_out(command_id, command, engine, progress=progress)

        reductions = Reductions(log)

        async def reduced(command: RemoveTag) -> str | None:
            return await retrying(partial(reductions.of, command))

        work = Work(copy=copy, remove=partial(remove, engine=engine, reduced=reduced))
        partitions = await log.partitions(EVENTS)
        transferrer = make_transferrer(log, partitions, work, failpoints, failure)
        await _run_alone(settings, log, failure, transferrer, app_id="towline-transfer", table_name="transfers")


async def _observe(settings: Settings, log: KafkaLog, _: Metrics, failure: _Failure) -> None:
    keys = load_keys(settings.keys)
    async with Registries(settings.registries, egress=settings.egress) as registries:
        observation = Observation(registries, keys, Attempts())
        partitions = await log.partitions(EVENTS)
        observer = make_observer(log, partitions, observation, Failpoints(settings.failpoints), failure)
        await _run_alone(settings, log, failure, observer, app_id="towline-observe", table_name="observations")


async def _notify(settings: Settings, log: KafkaLog, metrics: Metrics, failure: _Failure) -> None:
    egress, failpoints = Egress.of(settings.egress), Failpoints(settings.failpoints)
    async with Receivers(settings.receivers, egress) as receivers:
        notifier = Notifier(log, await log.partitions(EVENTS), receivers, failpoints, failure)
        metrics.watch_waiting(notifier.lines.counts)
        async with notifier.alarm(failure):
            await _run_alone(settings, log, failure, notifier, app_id="towline-notify", table_name="webhooks")


async def _seal(settings: Settings, log: KafkaLog, metrics: Metrics, failure: _Failure) -> None:
    audit = settings.audit
    key = sealing_key(audit)
    keys = load_public_keys(key_files(audit.public_keys)) | {key.id: key.public}
    sealer = Sealer(
        log,
        key,
        SealSource(log, keys, audit.quarantined),
        metrics,
        Failpoints(settings.failpoints),
        every_records=audit.every_records,
        keep=None if audit.file is None else CheckpointFile(audit.file).keep,
    )
    async with sealer.timer(audit.every_seconds, failure):
        await _run_alone(settings, log, failure, sealer, app_id="towline-seal", table_name="seals")


async def _run_alone(
    settings: Settings,
    log: KafkaLog,
    failure: _Failure,
    runner: CommandRunner[Any] | Sealer,
    *,
    app_id: str,
    table_name: str,
) -> None:
    """Run the one agent of an app."""
    partitions = await log.partitions(runner.topic)
    app = make_app(app_id, settings, partitions)
    failpoints = Failpoints(settings.failpoints)
    attachment = Attachment(
        runner.name, runner.topic, table_name, lambda table: Shell(runner, table, log, failpoints, failure)
    )
    shell = attach(app, attachment, log, partitions)
    runner.submit = shell.submit
    await run_app(app, {runner.topic: shell}, failure, failure.stop)


_WORK: Final[Mapping[str, Callable[[Settings, KafkaLog, Metrics, _Failure], Awaitable[None]]]] = {
    "evaluate": _evaluate,
    "transfer": _transfer,
    "observe": _observe,
    "notify": _notify,
    "seal": _seal,
}


@asynccontextmanager
async def _metrics_served(settings: Settings, role: str, metrics: Metrics) -> AsyncIterator[None]:
    """Serve the metrics on the port of the role, if the settings want them.

    Raises:
        InfrastructureError: the address cannot be had.
    """
    if settings.worker.metrics_port is None:
        yield
        return
    port = settings.worker.metrics_port + ROLES.index(role)
    async with serving(metrics_app(metrics), settings.worker.metrics_host, port):
        yield


async def _main(role: str) -> int:
    settings = load_settings()
    failure = _Failure()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, failure.stop.set)
    await require_topics(settings.kafka)
    metrics = Metrics(settings.registries, settings.receivers)
    async with CountedLog(settings.kafka, metrics) as log, _metrics_served(settings, role, metrics):
        await _WORK[role](settings, log, metrics, failure)
    return 0 if failure.error is None else 3


def main() -> int:
    """Run the worker of the role in the first argument; return the exit code."""
    configure_logging()
    if len(sys.argv) != 2 or sys.argv[1] not in _WORK:
        _logger.error("usage", expected=f"python -m agents {'|'.join(_WORK)}")
        return 2
    try:
        _refuse_foreign_packages()
        return uvloop.run(_main(sys.argv[1]))
    except MisuseError as error:
        _logger.error(str(error))
        return 2
    except InfrastructureError as error:
        _logger.error(str(error))
        return 3


if __name__ == "__main__":
    sys.exit(main())
