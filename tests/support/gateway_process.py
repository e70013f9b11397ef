"""A gateway in a process of its own, which a failpoint can kill: ``python -m tests.support.gateway_process``.

Reads the settings as every part does and writes its base URL to standard output.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop

from streams.running import gateway_running
from towline.settings import child_environment, load_settings

STOP_SECONDS = 30.0


async def main() -> None:
    async with gateway_running(load_settings()) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


@contextmanager
def gateway_process(**environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the gateway; yield its base URL and the process, which is killed at the end.

    It listens on a free port, unless ``TOWLINE_GATEWAY_PORT`` is given.
    """
    environment = {"TOWLINE_GATEWAY_PORT": "0", **environment}
    command = [sys.executable, "-m", "tests.support.gateway_process"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environment(**environment)) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, "the gateway did not start"
            yield url, process
        finally:
            process.kill()
            process.wait(STOP_SECONDS)


if __name__ == "__main__":
    uvloop.run(main())
