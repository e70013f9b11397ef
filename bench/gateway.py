"""The gateway in hooks a second, against bare uvicorn and aiokafka (``bench.bare``).

Both run as a process of their own on the same Apache Kafka, and get the same deliveries of CNCF distribution from the
same sender in turn. A delivery counts when it is answered 202, which both do once the broker has acknowledged.
"""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvloop
import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench import bare
from bench.sender import request, send_all
from streams.provision import create_topics
from tests.support.kafka import apache_kafka
from tests.support.stage import HOOK_TOKEN, free_port
from tests.support.waiting import until
from tests.unit.dialects.deliveries import fixture
from towline.settings import KafkaSettings, child_environment

#: Each run takes turns often: whatever else the machine does for a second is in both.
TURNS = 5
HOOKS_COUNT = 2_000
REPOSITORIES = 60
PARTITIONS = 12
START_SECONDS = 30.0
#: A sender that computes for more of the time than this may be what is measured.
BUSY_MAX = 0.7

_SENT = fixture("distribution", "push-manifest-tag")


def gateway_vs_bare(runs: int) -> list[float]:
    """Return the ratio of the rates, both measured in turn within each run."""
    with apache_kafka(quick_start=False) as broker, tempfile.TemporaryDirectory(prefix="towline-bench-") as folder:
        settings = KafkaSettings(bootstrap=broker.address, partitions=PARTITIONS)
        return uvloop.run(_measure(settings, Path(folder), runs))


async def _measure(settings: KafkaSettings, folder: Path, runs: int) -> list[float]:
    await create_topics(settings)
    await _create_topic(settings)
    ratios = []
    with _gateway(settings, folder) as ours, _bare(settings) as theirs:
        for port in (ours, theirs):
            await _seconds(port, "warm")
        for run in range(runs):
            taken = [(await _seconds(ours, f"{run}-{n}"), await _seconds(theirs, f"{run}-{n}")) for n in range(TURNS)]
            ratios.append(sum(bare for _, bare in taken) / sum(full for full, _ in taken))
    return ratios


async def _create_topic(settings: KafkaSettings) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await client.start()
    try:
        await client.create_topics([NewTopic(bare.TOPIC, PARTITIONS, 1)])
    finally:
        await client.close()


async def _seconds(port: int, turn: str) -> float:
    """Send deliveries that nobody sent before; return how long it took until all were accepted."""
    sent = await send_all(port, [_request(turn, number) for number in range(HOOKS_COUNT)])
    assert sent.busy < BUSY_MAX, f"the sender itself computed for {sent.busy:.0%} of the time"
    return sent.seconds


def _request(run: str, number: int) -> bytes:
    body = _SENT.body.replace(b'"dev/website"', b'"dev/app%d"' % (number % REPOSITORIES))
    body = body.replace(b'"id": "0000', f'"id": "{run}-{number}-'.encode())
    return request("/hooks/local", {**_SENT.headers, "authorization": f"Bearer {HOOK_TOKEN}"}, body)


@contextmanager
def _gateway(settings: KafkaSettings, folder: Path) -> Iterator[int]:
    port = free_port()
    document = {
        "kafka": {"bootstrap": settings.bootstrap, "partitions": PARTITIONS},
        "registries": {"local": {"url": "http://127.0.0.1:5000"}},
        "hooks": {"local": {"registry": "local", "token": "env:HOOK_TOKEN", "rate": 100_000}},
        "gateway": {"port": port},
    }
    (folder / "towline.yaml").write_text(yaml.safe_dump(document))
    environment = child_environment(TOWLINE_SETTINGS=str(folder / "towline.yaml"), HOOK_TOKEN=HOOK_TOKEN)
    with _server((str(Path(sys.executable).parent / "towline"), "gateway"), port, environment):
        yield port


@contextmanager
def _bare(settings: KafkaSettings) -> Iterator[int]:
    port = free_port()
    command = (sys.executable, "-m", "bench.bare", str(settings.bootstrap), str(port))
    with _server(command, port, child_environment()):
        yield port


@contextmanager
def _server(command: Sequence[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    """Run a server; end it at the end."""

    def listens() -> bool:
        assert process.poll() is None, "the server ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            return False
        return True

    process = subprocess.Popen(command, env=environment)
    try:
        until(listens, seconds=START_SECONDS, what="the server listens")
        yield
    finally:
        process.terminate()
        process.wait(START_SECONDS)
