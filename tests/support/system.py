"""The whole system as processes: workers with failpoints on a broker, and the log to look at."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from schemas.canonical import content_id
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import ImagePushed
from schemas.policies import PolicySet
from schemas.references import Frozen, Reference, Repository
from streams.history import Recorded, recorded
from streams.kafka_log import KafkaLog
from streams.provision import create_topics
from streams.publication import policies_in_force, publish
from streams.routing import event_append
from streams.topics import DECISIONS, EVENTS
from tests.support.waiting import eventually
from towline.settings import Settings, child_environment, load_settings

PARTITIONS = 4
STEP_SECONDS = 60.0
#: A moment that is no clock's: the same events have the same bytes in every run.
MOMENT = "2026-02-03T04:05:06.000007Z"


@dataclass
class Worker:
    """A worker process."""

    role: str
    process: asyncio.subprocess.Process
    log_file: Path

    async def terminate(self) -> int:
        """End it as an operator would, once it is up; return its exit code.

        The system ends a process that does not catch the signal yet, and its exit code would say nothing of ours.
        """
        await eventually(self._is_up, seconds=STEP_SECONDS, what=f"worker {self.role} up")
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        await self.process.wait()

    async def ended(self) -> int:
        """Wait until it ends by itself."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                return await self.process.wait()
        except TimeoutError:
            raise AssertionError(f"worker {self.role} did not end:\n{self.said()}") from None

    async def _is_up(self) -> bool:
        return self.process.returncode is not None or self._catches_sigterm()

    def _catches_sigterm(self) -> bool:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
        return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))

    def said(self) -> str:
        """The end of what it logged."""
        return self.log_file.read_text(errors="replace")[-3000:]


@dataclass
class System:
    """Settings, log and running workers on one broker."""

    folder: Path
    settings: Settings
    log: KafkaLog
    running: list[Worker] = field(default_factory=list)

    @property
    def settings_file(self) -> Path:
        return self.folder / "towline.yaml"

    def environment(self, **changes: str) -> dict[str, str]:
        return child_environment(TOWLINE_SETTINGS=str(self.settings_file), **changes)

    async def start(self, role: str, *, name: str = "one", failpoints: str = "", **environment: str) -> Worker:
        """Start a worker; workers of the same name share their local data, one after the other."""
        log_file = self.folder / f"{role}-{name}-{len(self.running)}.log"
        with log_file.open("wb") as sink:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "agents",
                role,
                stderr=sink,
                env=self.environment(
                    TOWLINE_DATA_DIR=str(self.folder / f"data-{name}"), TOWLINE_FAILPOINTS=failpoints, **environment
                ),
            )
        worker = Worker(role, process, log_file)
        self.running.append(worker)
        return worker

    async def stop(self) -> None:
        """Kill what still runs."""
        for worker in self.running:
            if worker.process.returncode is None:
                await worker.kill()

    async def apply(self, policies: PolicySet) -> int:
        """Bring a policy set into force; an evaluator must run."""
        before = await policies_in_force(self.log)
        return await publish(self.log, policies, replaces=before.revision, actor="test", timeout_seconds=STEP_SECONDS)

    async def push(self, events: Sequence[Envelope[Frozen]]) -> None:
        """Put events into the log."""
        await self.log.append_all([event_append(event) for event in events])

    async def records(self, topic: str) -> list[Recorded]:
        """Everything that a topic holds now, partition by partition."""
        return [item for partition in range(PARTITIONS) async for item in recorded(self.log, topic, partition)]

    async def decisions(self) -> list[Envelope[Decision]]:
        """Every decision that was written, repetitions too."""
        return [cast("Envelope[Decision]", item.envelope) for item in await self.records(DECISIONS)]

    async def decided(self, events: Sequence[Envelope[Frozen]], *, seconds: float = STEP_SECONDS) -> None:
        """Wait until each of the events has a decision."""

        async def all_decided() -> bool:
            return not await self.undecided(events)

        await eventually(all_decided, seconds=seconds, what=f"decisions on {len(events)} events: {self._said()}")

    async def undecided(self, events: Sequence[Envelope[Frozen]]) -> set[str]:
        """The ids of the events that have no decision."""
        return {event.id for event in events} - {decision.data.event_id for decision in await self.decisions()}

    def _said(self) -> str:
        return "\n".join(f"{worker.log_file.name}: {worker.said()}" for worker in self.running[-2:])


def pushed(repository: str, tag: str, seed: str) -> Envelope[ImagePushed]:
    """A push whose digest derives from ``seed``."""
    data = ImagePushed(repository=Repository.parse(repository), tag=tag, digest=f"sha256:{content_id('image', seed)}")
    return pushed_image(data, seed)


def pushed_image(data: ImagePushed, seed: str) -> Envelope[ImagePushed]:
    """A push event of what ``data`` says."""
    return Envelope(
        id=content_id("test", seed),
        source="test",
        subject=str(Reference(data.repository, data.tag)),
        time=MOMENT,
        data=data,
    )


@asynccontextmanager
async def system(
    bootstrap: str,
    folder: Path,
    *,
    registries: Mapping[str, Mapping[str, Any]],
    hooks: Mapping[str, Any] | None = None,
    keys: Mapping[str, Any] | None = None,
    receivers: Mapping[str, Any] | None = None,
    egress: Mapping[str, Any] | None = None,
    attestation: Mapping[str, Any] | None = None,
    audit: Mapping[str, Any] | None = None,
    tick_seconds: float = 1,
    session_timeout_seconds: float = 6,
    kafka: Mapping[str, Any] | None = None,
) -> AsyncIterator[System]:
    """Create the topics and settings of a system on an empty broker; its workers are killed on leaving."""
    document: dict[str, Any] = {
        "kafka": {"bootstrap": bootstrap, "partitions": PARTITIONS, **(kafka or {})},
        "registries": dict(registries),
        "hooks": dict(hooks or {}),
        "keys": dict(keys or {}),
        "receivers": dict(receivers or {}),
        "egress": dict(egress or {}),
        "attestation": attestation,
        "audit": dict(audit or {}),
        "worker": {"session_timeout_seconds": session_timeout_seconds, "tick_seconds": tick_seconds},
        "gateway": {"port": 0},
        "data_dir": str(folder / "data"),
    }
    (folder / "towline.yaml").write_text(yaml.safe_dump(document))
    settings = load_settings(**document)
    await create_topics(settings.kafka)
    async with KafkaLog(settings.kafka) as log:
        assert await log.partitions(EVENTS) == PARTITIONS
        built = System(folder, settings, log)
        try:
            yield built
        finally:
            await built.stop()
