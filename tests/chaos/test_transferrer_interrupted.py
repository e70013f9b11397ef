"""The transferrer itself is killed, stopped and paused at drawn moments, on Kafka and between two distributions.

Several commands are for one target tag: the last one wins, whatever happens in between. ``TOWLINE_SEED`` draws other
moments.
"""

import random
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.catalogue import encode
from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.events import TransferCompleted, TransferFailed
from schemas.outcomes import Outcome
from streams.log import Append
from streams.topics import COMMANDS, EVENTS, repository_key
from tests.chaos.test_copies_interrupted import command_of
from tests.support.brokers import BrokerUnderTest
from tests.support.interruptions.images import push_common
from tests.support.interruptions.processes import Registered, two_distributions
from tests.support.interruptions.runs import seeds
from tests.support.system import System, Worker, system
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.distribution,
    pytest.mark.chaos,
    pytest.mark.asyncio(loop_scope="module"),
]

SEEDS = seeds(range(2))
#: A killed consumer is missed after its session's time only, so that each kill takes some ten seconds.
INTERRUPTIONS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL)
#: Files and folders that the copies of one round add to the target, about.
FILES = 120


@dataclass
class Stage:
    one: System
    registered: Registered

    async def command(self, commands: list[Envelope[CopyImage]]) -> None:
        """Put commands into their topic."""
        await self.one.log.append_all(
            [Append(COMMANDS, repository_key(it.data.target.repository), encode(it)) for it in commands]
        )

    async def outcomes(self) -> list[Outcome]:
        """Every outcome in the log, repetitions too."""
        found = [item.envelope.data for item in await self.one.records(EVENTS)]
        return [item for item in found if isinstance(item, Outcome)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(module_broker: BrokerUnderTest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("transferrer")
    async with two_distributions(folder) as registered:
        registries = dict(zip(("source", "target"), ({"url": url} for url in registered.urls), strict=True))
        async with system(module_broker.bootstrap, folder, registries=registries) as one:
            yield Stage(one, registered)


@dataclass
class Round:
    """Three commands for each of some tags of one new repository."""

    stage: Stage
    draw: random.Random
    name: str
    commands: list[Envelope[CopyImage]]
    #: Upload sessions of processes that were killed: their successors cannot know them.
    lost: set[str] = field(default_factory=set)

    async def interrupt(self, worker: Worker, kind: signal.Signals, size: int) -> Worker:
        """Do something to a worker when the repository has grown so far; return the one that goes on."""
        await eventually(lambda: self._is_due(size), seconds=60, what=f"{size} files, or all ends")
        worker.process.send_signal(kind)
        if kind == signal.SIGSTOP:
            await self.check_tags()
            worker.process.send_signal(signal.SIGCONT)
            return worker
        await worker.ended()
        if kind == signal.SIGKILL:
            self.lost |= self.stage.registered.sessions(self.name)
        await self.check_tags()
        assert self.stage.registered.sessions(self.name) <= self.lost, f"{kind.name} left upload sessions"
        return await self.stage.one.start("transfer", name="one")

    async def _is_due(self, size: int) -> bool:
        return self.stage.registered.size(self.name) >= size or await self.all_ended()

    async def all_ended(self) -> bool:
        ended = {outcome.command_id for outcome in await self.stage.outcomes()}
        return {command.id for command in self.commands} <= ended

    async def check_tags(self) -> None:
        """Check that each tag is not there yet, or what one of its commands wants, and complete."""
        for target in {command.data.target for command in self.commands}:
            wanted = {it.data.digest: it.data for it in self.commands if it.data.target == target}
            found = await self.stage.registered.digest_of(next(iter(wanted.values())))
            assert found in {None, *wanted}
            if found is not None:
                await self.stage.registered.check_complete(wanted[found])

    async def check_ends(self) -> None:
        """Check that each command ended once, none failed, and the last one for each tag has it."""
        ids = {command.id for command in self.commands}
        ends = [outcome for outcome in await self.stage.outcomes() if outcome.command_id in ids]
        assert len({(outcome.command_id, type(outcome)) for outcome in ends}) == len(ids)
        assert [outcome for outcome in ends if isinstance(outcome, TransferFailed)] == []
        last = {command.data.target: command for command in self.commands}
        for command in last.values():
            assert await self.stage.registered.digest_of(command.data) == command.data.digest
            await self.stage.registered.check_complete(command.data)
        assert any(isinstance(outcome, TransferCompleted) for outcome in ends)
        assert self.stage.registered.sessions(self.name) <= self.lost


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_transferrer_that_is_interrupted_leaves_tags_old_or_right_and_ends_every_command(
    stage: Stage, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - to be drawn again
    images = await push_common(stage.registered.source)
    worker = await stage.one.start("transfer", name="one")
    try:
        for number, kind in enumerate(draw.sample(INTERRUPTIONS, len(INTERRUPTIONS))):
            name = f"qa/k{seed}-{number}"
            targets = [f"target/{name}:{tag}" for tag in ("1.0", "2.0", "3.0")]
            commands = [command_of(draw.choice(targets), image) for image in images.values()]
            one = Round(stage, draw, name, commands)
            await stage.command(commands)
            worker = await one.interrupt(worker, kind, draw.randint(0, FILES))
            await eventually(one.all_ended, seconds=60, what="an outcome for each command")
            await one.check_ends()
    finally:
        await worker.kill()
