"""The memory of a program and of all that it starts, looked at again and again while it runs."""

import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_LOOK_SECONDS = 0.05


@dataclass(slots=True)
class Memory:
    """The most that was seen at one time, in MiB."""

    together_mib: float = 0.0
    largest_mib: float = 0.0


@contextmanager
def watched(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], Memory]]:
    """Run a program, its output in a pipe; at the end the memory is what was seen."""
    memory, is_over = Memory(), threading.Event()
    with subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE) as process:

        def look() -> None:
            while not is_over.wait(_LOOK_SECONDS):
                sizes = [_resident_mib(pid) for pid in _family(process.pid)]
                memory.together_mib = max(memory.together_mib, sum(sizes))
                memory.largest_mib = max(memory.largest_mib, *sizes)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield process, memory
        finally:
            is_over.set()
            thread.join()


def _family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(one for child in children for one in _family(child))]


def _resident_mib(pid: int) -> float:
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    except OSError:
        return 0.0
    return 0.0 if found is None else int(found[1]) / 1024
