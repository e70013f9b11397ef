"""The observer over the log in memory and a registry inside the process, with scripted faults around it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from agents.observer import Observation, make_observer
from agents.outcomes import end_id
from agents.partition_worker import Handler
from agents.table import MemoryTable, Table
from schemas.canonical import content_id
from schemas.catalogue import decode
from schemas.commands import InspectImage, PollRepository, ResolveTag
from schemas.envelope import Envelope
from schemas.patterns import SourcePattern
from schemas.references import Frozen, Reference, Repository
from streams.local_registry import LocalRegistry
from streams.log import LogRecord
from streams.memory_log import MemoryLog
from streams.routing import command_append
from streams.serving import serving
from streams.topics import EVENTS
from tests.support.builders import at
from tests.support.checkers import all_records
from tests.support.faults import Faults
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, Place, Run
from towline.failpoints import Failpoints
from towline.registry import Attempts, Registries, RegistryClient
from towline.registry.signatures import PublicKey
from towline.settings import RegistrySettings

DataT = TypeVar("DataT", bound=Frozen)


@dataclass
class Scene:
    """A log, a registry named ``local``, and observers, one life after the other."""

    registry: LocalRegistry
    faults: Faults
    registries: Registries
    log: MemoryLog = field(default_factory=lambda: MemoryLog(partitions=PARTITIONS))
    table: Table = field(default_factory=MemoryTable)
    keys: Mapping[str, PublicKey] = field(default_factory=dict)
    pauses: list[float] = field(default_factory=list)

    @property
    def client(self) -> RegistryClient:
        return self.registries("local")

    def observer(self, failpoints: str = "", *, committed: Sequence[Place] = (), table: Table | None = None) -> Run:
        failures: list[BaseException] = []
        observation = Observation(self.registries, self.keys, Attempts(sleep=self._pause))
        observer = make_observer(self.log, PARTITIONS, observation, Failpoints(failpoints), failures.append)
        handler: Handler = observer
        run = Run(self.log, table or self.table, handler=handler, failpoints=failpoints, committed=committed)
        run.failures = failures
        run.shell._on_failure = failures.append
        observer.submit = run.shell.submit
        return run

    async def command(self, *commands: Envelope[Frozen]) -> None:
        for item in commands:
            await self.log.append(command_append(item))

    async def carried_out(self, *commands: Envelope[Frozen]) -> list[Frozen]:
        """Have an observer carry out commands; return what the log then holds."""
        await self.command(*commands)
        run = self.observer()
        await run.shell.take_over(range(PARTITIONS))
        await run.drain()
        await self.all_ended(*commands)
        await run.shell.close()
        assert run.failures == []
        return [event.data for event in await self.events()]

    async def all_ended(self, *commands: Envelope[Frozen]) -> None:
        async def so() -> bool:
            return {end_id(item.id) for item in commands} <= {event.id for event in await self.events()}

        await eventually(so, seconds=20, what="an end for every command")

    async def events(self) -> list[Envelope[Frozen]]:
        return [decode(record.value or b"") for record in await self.records()]

    async def records(self) -> list[LogRecord]:
        return await all_records(self.log, EVENTS)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@asynccontextmanager
async def observing() -> AsyncIterator[Scene]:
    registry = LocalRegistry()
    faults = Faults(registry)
    async with serving(faults) as url, Registries({"local": RegistrySettings(url=url)}) as registries:
        yield Scene(registry, faults, registries)


def inspect(repository: str, digest: str) -> Envelope[InspectImage]:
    data = InspectImage(event_id="0" * 64, repository=Repository.parse(repository), digest=digest)
    return _command(data, f"{repository}@{digest}")


def poll(source: str) -> Envelope[PollRepository]:
    data = PollRepository(event_id="0" * 64, source=SourcePattern.parse(source), cause="interval")
    return _command(data, source)


def resolve(reference: str, *, key: str = "", actor: str | None = None) -> Envelope[ResolveTag]:
    parsed = Reference.parse(reference)
    data = ResolveTag(event_id="0" * 64, repository=parsed.repository, tag=parsed.tag, actor=actor)
    return replace(_command(data, reference), id=content_id("test", "resolve", reference, key))


def _command(data: DataT, subject: str) -> Envelope[DataT]:
    return Envelope(id=content_id("test", subject), source="test", subject=subject, time=at(0), data=data)
