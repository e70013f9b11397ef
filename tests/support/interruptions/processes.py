"""Two CNCF distributions, what the target's disk says, and copiers to interrupt between them."""

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from schemas.catalogue import encode
from schemas.commands import CopyImage
from schemas.envelope import Envelope
from tests.support.distribution import distribution
from tests.support.images import assert_complete
from tests.support.waiting import eventually
from towline.registry import Registries, RegistryClient
from towline.registry.errors import NotFoundError, ServerError
from towline.settings import RegistrySettings, child_environment

STEP_SECONDS = 60.0

#: Where distribution keeps what it knows of its repositories, below the folder of its run.
_REPOSITORIES = "*/storage/docker/registry/v2/repositories"
_LOOK_SECONDS = 0.001


@contextmanager
def _distribution_in(folder: Path) -> Iterator[str]:
    """Run a registry whose files are below a folder."""
    folder.mkdir()
    usual, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        running = distribution()
        url = running.__enter__()
    finally:
        tempfile.tempdir = usual
    try:
        yield url
    finally:
        running.__exit__(None, None, None)


@dataclass
class Registered:
    """Two registries as processes, clients of both, and the folder of the target's files."""

    urls: tuple[str, str]
    registries: Registries
    folder: Path

    @property
    def source(self) -> RegistryClient:
        return self.registries("source")

    @property
    def target(self) -> RegistryClient:
        return self.registries("target")

    def size(self, repository: str) -> int:
        """How many files and folders a repository of the target has: they grow with every step of a copy."""
        walks = (os.walk(found) for found in self.folder.glob(f"{_REPOSITORIES}/{repository}"))
        # Sessions come and go while it walks; it takes no offence at folders that are gone.
        return sum(len(folders) + len(files) for walk in walks for _, folders, files in walk)

    def sessions(self, repository: str) -> set[str]:
        """The upload sessions that are open in a repository of the target.

        Of those that were given up distribution 2.8 keeps some bytes of state, but not when they began.
        """
        began = self.folder.glob(f"{_REPOSITORIES}/{repository}/_uploads/*/startedat")
        return {path.parent.name for path in began}

    def has_bytes(self, repository: str, session: str) -> bool:
        """Tell whether an upload session of the target holds some of its blob."""
        (data,) = self.folder.glob(f"{_REPOSITORIES}/{repository}/_uploads/{session}/data")
        return data.stat().st_size > 0

    async def digest_of(self, command: CopyImage) -> str | None:
        """Return what the target tag of a command points to."""
        found: list[str | None] = []

        async def answers() -> bool:
            try:
                found.append(await self.target.resolve(command.target.repository.name, command.target.tag))
            except NotFoundError:
                found.append(None)
            except ServerError:
                # distribution answers 500 for the instant in which it writes the file of a tag.
                return False
            return True

        await eventually(answers, seconds=STEP_SECONDS, what="an answer of the target")
        return found[-1]

    async def check_complete(self, command: CopyImage) -> None:
        """Check that a target has all of what it names."""
        await assert_complete(self.target, command.target.repository.name, command.digest)


@asynccontextmanager
async def two_distributions(folder: Path) -> AsyncIterator[Registered]:
    """Run the registries ``source`` and ``target``."""
    with _distribution_in(folder / "source") as source, _distribution_in(folder / "target") as target:
        settings = {"source": RegistrySettings(url=source), "target": RegistrySettings(url=target)}
        async with Registries(settings) as registries:
            yield Registered((source, target), registries, folder / "target")


@dataclass
class Copier:
    """Copying processes, one after the other, on the same commands."""

    registered: Registered
    folder: Path
    peak_mib: float = 0.0
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)

    def write(self, commands: list[Envelope[CopyImage]]) -> None:
        """Say what is to be copied, and forget what was before."""
        self._commands.write_bytes(b"".join(encode(it) + b"\n" for it in commands))
        self._ends.write_bytes(b"")

    async def start(self) -> None:
        """Start a process; the one before has ended."""
        assert self._process is None
        program = [sys.executable, "-m", "tests.support.interruptions.copier", *self.registered.urls]
        self._process = await asyncio.create_subprocess_exec(
            *program, str(self._commands), str(self._ends), env=child_environment()
        )

    async def interrupt(self, number: signal.Signals, when: Callable[[], bool]) -> bool:
        """Send a signal as soon as something is so; tell whether the process did not end before."""
        assert self._process is not None
        while not when():
            if self._process.returncode is not None:
                return False
            self.look()
            await asyncio.sleep(_LOOK_SECONDS)
        if self._process.returncode is not None:
            return False
        self.look()
        self._process.send_signal(number)
        return True

    async def ended(self) -> int:
        """Wait until the process ends; return its exit code."""
        assert self._process is not None
        async with asyncio.timeout(STEP_SECONDS):
            code = await self._process.wait()
        self._process = None
        return code

    async def close(self) -> None:
        """Kill the process if it runs."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()

    def ends(self) -> list[tuple[str, str]]:
        """Return the command and the kind of each outcome, in their order."""
        lines = self._ends.read_text().splitlines()
        return [(identity, kind) for identity, kind in (line.split() for line in lines)]

    def look(self) -> None:
        """Take note of the most memory that the process had."""
        assert self._process is not None
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        except (FileNotFoundError, ProcessLookupError):
            return
        if (found := re.search(r"VmHWM:\s+(\d+) kB", status)) is not None:
            self.peak_mib = max(self.peak_mib, int(found[1]) / 1024)

    @property
    def _commands(self) -> Path:
        return self.folder / "commands"

    @property
    def _ends(self) -> Path:
        return self.folder / "ends"
