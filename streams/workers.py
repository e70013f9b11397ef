"""Worker processes: started, watched and ended together.

Workers are processes of their own because each is a Faust app with a consumer group, and so that one that fails takes
nothing else along.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import IO, Final

from towline.errors import InfrastructureError
from towline.settings import Settings

ROLES: Final = ("evaluate", "transfer", "observe", "notify", "seal")

#: A worker commits what it has acknowledged and leaves its group; then it is ended.
_STOP_TIMEOUT_SECONDS: Final = 20.0


def roles_for(settings: Settings) -> tuple[str, ...]:
    """Return the roles that have work under some settings: without a key there is nothing to seal with."""
    return tuple(role for role in ROLES if role != "seal" or settings.audit.key is not None)


class WorkerEndedError(InfrastructureError):
    """A worker ended by itself. Its log says why; nothing that it had taken in is lost."""


class Workers:
    """Some worker processes."""

    def __init__(self, processes: dict[str, asyncio.subprocess.Process]) -> None:
        self._processes = processes

    async def until_one_ends(self) -> None:
        """Wait until a worker ends by itself.

        Raises:
            WorkerEndedError: one did.
        """
        waits = {asyncio.create_task(process.wait()): role for role, process in self._processes.items()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        role = waits[next(iter(done))]
        raise WorkerEndedError(f"worker {role} ended with exit code {self._processes[role].returncode}")

    async def end(self) -> None:
        """End all of them, orderly if they can."""
        running = [process for process in self._processes.values() if process.returncode is None]
        for process in running:
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_SECONDS):
                for process in running:
                    await process.wait()
        except TimeoutError:
            for process in running:
                if process.returncode is None:
                    process.kill()
                    await process.wait()


@asynccontextmanager
async def workers(
    roles: Sequence[str], environment: dict[str, str], *, log_to: IO[bytes] | None = None
) -> AsyncIterator[Workers]:
    """Run one worker process for each role, in an environment; end them on leaving."""
    processes: dict[str, asyncio.subprocess.Process] = {}
    group = Workers(processes)
    try:
        for role in roles:
            processes[role] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "agents",
                role,
                stderr=log_to,
                env=environment,
                # A Ctrl-C on the terminal is for the parent, which ends its workers in order.
                start_new_session=True,
            )
        yield group
    finally:
        await group.end()
