"""Running one seed, and what it must not leave behind in the process."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.support.interruptions.images import Mixed
from tests.support.interruptions.world import World
from tests.support.pairs import pair_of_registries
from tests.support.waiting import eventually
from towline import limits

#: A round takes a fraction of a second: who needs so long hangs.
ROUND_SECONDS = 60.0

#: A reader's window for slow sources, shorter than a dribbling server's pause, and fewer bytes than any blob has.
_WINDOW_SECONDS = 0.05
_WINDOW_BYTES = 2


def seeds(usual: Sequence[int]) -> Sequence[int]:
    """Return the seeds to run: the one that the environment asks for, else the usual ones."""
    asked = os.environ.get("TOWLINE_SEED")
    return usual if asked is None else [int(asked)]


def without_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the registries believe every digest, and the clients lose patience with slow ones soon."""
    monkeypatch.setattr("streams.local_registry.store.check_digest", lambda digest, content: None)  # noqa: ARG005
    monkeypatch.setattr(limits, "slow_window_seconds", _WINDOW_SECONDS)
    monkeypatch.setattr(limits, "slow_window_bytes", _WINDOW_BYTES)


class Held:
    """What a process holds while it copies: answers, tasks and sockets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._answers: list[httpx.Response] = []
        make = httpx.Response.__init__

        def note(answer: httpx.Response, *args: object, **members: object) -> None:
            make(answer, *args, **members)  # type: ignore[arg-type]
            self._answers.append(answer)

        monkeypatch.setattr(httpx.Response, "__init__", note)

    async def check(self, tasks_before: int) -> None:
        """Check that no answer is left open, no blob was read into memory as a whole, and nothing goes on."""
        assert [it for it in self._answers if not it.is_closed] == []
        for answer in self._answers:
            if answer.request.method == "GET" and "/blobs/" in answer.request.url.path:
                with pytest.raises(httpx.ResponseNotRead):
                    _ = answer.content

        async def all_over() -> bool:
            # By number: the servers' own tasks are renewed all the time.
            return len(asyncio.all_tasks()) <= tasks_before

        await eventually(all_over, seconds=ROUND_SECONDS, what="all tasks of the copies are over")


async def run_rounds(seed: int, count: int, mixed: Mixed, held: Held) -> None:
    """Let a seed interrupt copies so many times.

    Raises:
        AssertionError: something did not hold; its notes say how to repeat it.
    """
    sockets = _open_sockets()
    try:
        async with pair_of_registries() as pair:
            tasks = len(asyncio.all_tasks())
            world = World(seed, pair, mixed)
            for number in range(count):
                async with asyncio.timeout(ROUND_SECONDS):
                    await _round(world, number)
            await world.close()
            await held.check(tasks)
    except BaseException as error:
        error.add_note(f"to repeat it: TOWLINE_SEED={seed}")
        raise
    assert _open_sockets() <= sockets, "a connection is left open"


async def _round(world: World, number: int) -> None:
    try:
        await world.round()
    except BaseException as error:
        error.add_note(f"round {number}:\n  " + "\n  ".join(world.story))
        await world.close()
        raise


def _open_sockets() -> int:
    targets = (_target(link) for link in Path("/proc/self/fd").iterdir())
    return sum(target.startswith("socket:") for target in targets)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""
