"""A copying process is killed, stopped and paused at drawn moments, between two CNCF distributions (W02, W09).

The moment is drawn as the number of files that the target has come to hold, so that it does not depend on how fast the
machine is. ``TOWLINE_SEED`` draws other moments.
"""

import random
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.canonical import content_id
from schemas.commands import CopyImage
from schemas.descriptors import Descriptor
from schemas.envelope import Envelope
from tests.support.images import copy_command
from tests.support.interruptions.images import SOURCE, push_common
from tests.support.interruptions.processes import Copier, Registered, two_distributions
from tests.support.interruptions.runs import seeds
from tests.support.system import MOMENT
from towline.registry import push_image

pytestmark = [pytest.mark.distribution, pytest.mark.chaos, pytest.mark.asyncio(loop_scope="module")]

SEEDS = seeds(range(5))
ROUND_COUNT = 3
LARGE_BYTES = 32 * 1024 * 1024
#: Files and folders that the copies of one round add to the target, about.
FILES = 190
#: Sessions that a process may leave which was asked to end. Distribution 2.8 keeps those that have bytes, and no others
#: (tests/integration/test_uploads_given_up.py); more than two were not seen.
LEFT_MAX = 4
#: A copier has some 60 MiB whatever the size of the layers; with the two large ones in memory it would have 130.
PEAK_MIB = 100


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def registered(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Registered]:
    async with two_distributions(tmp_path_factory.mktemp("registries")) as both:
        yield both


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def images(registered: Registered) -> dict[str, Descriptor]:
    draw = random.Random(0)  # noqa: S311 - the same in every run
    common = await push_common(registered.source)
    large = [
        await push_image(registered.source, SOURCE, f"large-{number}", [draw.randbytes(LARGE_BYTES)])
        for number in range(2)
    ]
    return common | {f"large-{number}": image for number, image in enumerate(large)}


@dataclass
class Round:
    """The same images for a new repository, half of them under tags that are something else before."""

    name: str
    draw: random.Random
    copier: Copier
    registered: Registered
    commands: list[Envelope[CopyImage]]
    before: dict[str, str] = field(default_factory=dict)
    complete: set[str] = field(default_factory=set)
    #: Upload sessions of processes that were killed: their successors cannot know them.
    lost: set[str] = field(default_factory=set)

    async def prepare(self) -> None:
        for command in self.draw.sample(self.commands, len(self.commands) // 2):
            old = await push_image(self.registered.target, self.name, command.data.target.tag, [b"old"])
            self.before[command.id] = old.digest
        self.copier.write(self.commands)

    async def interrupt(self) -> None:
        """Start a process, and do something to it at a drawn moment."""
        kind = self.draw.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP))
        size = self.registered.size(self.name) + self.draw.randint(0, FILES)
        await self.copier.start()
        met = await self.copier.interrupt(kind, lambda: self.registered.size(self.name) >= size)
        if met and kind == signal.SIGSTOP:
            await self.check_tags()
            await self.copier.interrupt(signal.SIGCONT, lambda: True)
        assert await self.copier.ended() in {0, -signal.SIGKILL if kind == signal.SIGKILL else -signal.SIGTERM}
        await self.check_tags()
        left = self.registered.sessions(self.name) - self.lost
        if kind == signal.SIGTERM:
            assert len(left) <= LEFT_MAX, f"SIGTERM left {len(left)} upload sessions"
            assert all(self.registered.has_bytes(self.name, session) for session in left)
        elif not met or kind != signal.SIGKILL:
            assert left == set(), f"{kind.name} left upload sessions"
        self.lost |= left

    async def check_tags(self) -> None:
        """Check that each tag is old or right, and has all of what it names."""
        for command in self.commands:
            found = await self.registered.digest_of(command.data)
            assert found in {self.before.get(command.id), command.data.digest}
            if found == command.data.digest and command.id not in self.complete:
                await self.registered.check_complete(command.data)
                self.complete.add(command.id)

    async def finish(self) -> None:
        """Let a process do what is left, and check that each command ended once and right."""
        await self.copier.start()
        assert await self.copier.ended() == 0
        ends = self.copier.ends()
        assert sorted(identity for identity, _ in ends) == sorted(command.id for command in self.commands)
        assert {kind for _, kind in ends} <= {"TransferCompleted", "TransferSkipped"}
        for command in self.commands:
            assert await self.registered.digest_of(command.data) == command.data.digest
        await self.check_tags()
        assert self.registered.sessions(self.name) <= self.lost


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_process_that_is_interrupted_leaves_tags_old_or_right_and_the_next_ones_end_each_copy_once(
    seed: int, registered: Registered, images: dict[str, Descriptor], tmp_path: Path
) -> None:
    draw = random.Random(seed)  # noqa: S311 - to be drawn again
    copier = Copier(registered, tmp_path)
    try:
        for number in range(ROUND_COUNT):
            name = f"qa/r{seed}-{number}"
            commands = [command_of(f"target/{name}:{tag.replace(' ', '-')}", image) for tag, image in images.items()]
            one = Round(name, draw, copier, registered, commands)
            await one.prepare()
            for _ in range(draw.choice((2, 3, 4))):
                await one.interrupt()
            await one.finish()
    finally:
        await copier.close()
    assert copier.peak_mib < PEAK_MIB


def command_of(target: str, image: Descriptor) -> Envelope[CopyImage]:
    command = copy_command(f"source/{SOURCE}:1.0", image.digest, target)
    identity = content_id("interrupted", target, image.digest)
    return Envelope(id=identity, source="tests", subject=target, time=MOMENT, data=command)
