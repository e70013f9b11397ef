"""The Faust apps: settings, and the thin body that hands every record to the shell."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import faust
from faust.types.auth import CredentialsT

from agents.consumer import RunConsumer, RunScheduler, RunTransport
from agents.shell import Shell
from agents.table import Changelog, FaustTable, StateTable
from agents.watchdog import Watchdog, watch
from streams.kafka_options import client_options
from towline import limits
from towline.settings import Settings


@dataclass(frozen=True, slots=True)
class Attachment:
    """An agent of an app: its name, its topic, and how its shell is made over its table."""

    name: str
    topic: str
    table_name: str
    make_shell: Callable[[FaustTable], Shell]


def make_app(app_id: str, settings: Settings, partitions: int) -> faust.App:
    """Return an app without agents, with the settings that mattered when measured."""
    data_dir = settings.data_dir / app_id
    data_dir.mkdir(parents=True, exist_ok=True)
    options = client_options(settings.kafka)
    app = faust.App(
        app_id,
        broker=";".join(f"kafka://{server}" for server in options["bootstrap_servers"]),
        broker_credentials=_credentials(options),
        ConsumerScheduler=RunScheduler,
        store="rocksdb://",
        datadir=str(data_dir),
        Table=StateTable,
        topic_partitions=partitions,
        topic_replication_factor=settings.kafka.replication,
        topic_allow_declare=True,
        # Ours are made and checked by `towline topics`; only the table's changelog is Faust's to make.
        topic_disable_leader=True,
        web_enabled=False,
        value_serializer="raw",
        key_serializer="raw",
        broker_commit_interval=settings.worker.commit_interval_seconds,
        broker_session_timeout=settings.worker.session_timeout_seconds,
        broker_heartbeat_interval=settings.worker.session_timeout_seconds / 4,
        # How long a group waits for members that were about to join when they died.
        broker_rebalance_timeout=settings.worker.session_timeout_seconds,
        broker_max_poll_interval=300.0,
        consumer_max_fetch_size=limits.record_bytes,
        producer_max_request_size=limits.record_bytes,
        producer_linger=0.005,
        producer_max_batch_size=262144,
        # Nothing waits for a batch that is under way: whoever owns the partition next reads it again.
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        consumer_auto_offset_reset="earliest",
    )
    app.transport = RunTransport(app.conf.broker_consumer, app)
    # A table and a consumer of ours log under the names of their modules what is Faust's to say.
    for name in ("faust", "aiokafka", "mode", StateTable.__module__, RunConsumer.__module__):
        logging.getLogger(name).setLevel(settings.worker.log_level.upper())
    return app


def _credentials(options: Mapping[str, Any]) -> CredentialsT | None:
    """Return in Faust's words how a client of ours reaches the broker."""
    if "sasl_mechanism" in options:
        return faust.SASLCredentials(
            mechanism=options["sasl_mechanism"],
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            ssl_context=options.get("ssl_context"),
        )
    return faust.SSLCredentials(options["ssl_context"]) if "ssl_context" in options else None


def attach(app: faust.App, attachment: Attachment, changelog: Changelog, partitions: int) -> Shell:
    """Declare the topic, table and agent of an attachment; return its shell."""
    topic = app.topic(attachment.topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    table = app.Table(
        attachment.table_name,
        partitions=partitions,
        key_type=bytes,
        value_type=bytes,
        extra_topic_configs={"max.message.bytes": limits.record_bytes},
    )
    shell = attachment.make_shell(FaustTable(table, changelog))

    async def body(stream: Any) -> None:
        manual = stream.noack()
        async for event in manual.events():
            await shell.accept(event.message.records, partial(manual.ack, event))

    app.agent(topic, name=attachment.name)(body)

    async def revoked(_: Any, partitions: Any, **__: Any) -> None:
        await shell.give_up(tp.partition for tp in partitions if tp.topic == attachment.topic)

    async def recovered(_: Any, **__: Any) -> None:
        await shell.take_over(tp.partition for tp in app.consumer.assignment() if tp.topic == attachment.topic)

    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_rebalance_complete.connect(recovered, weak=False)
    return shell


async def run_app(
    app: faust.App, shells: dict[str, Shell], failure: Callable[[BaseException], None], stop: asyncio.Event
) -> None:
    """Run an app until ``stop`` is set, then end it orderly: first the work, then Faust, which commits and leaves.

    ``shells`` are named by their topics.
    """
    app.finalize()
    await app.start()
    watching = asyncio.create_task(watch([_watchdog(app, *item) for item in shells.items()], failure), name="watchdog")
    try:
        await stop.wait()
    finally:
        watching.cancel()
        for shell in shells.values():
            await shell.close()
        await app.stop()


def _watchdog(app: faust.App, topic: str, shell: Shell) -> Watchdog:
    def assigned() -> list[int]:
        return [tp.partition for tp in app.consumer.assignment() if tp.topic == topic]

    return Watchdog(topic, assigned, shell.owns, lambda: bool(app.rebalancing))
