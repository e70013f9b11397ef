"""A gateway in a process of its own, which a failpoint can kill: ``python -m tests.support.gateway_process``.

Reads the settings as every part does, listens on a free port and writes its base URL to standard output.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from streams.gateway.app import gateway_app
from streams.metrics import CountedLog, Metrics
from streams.provision import require_topics
from streams.serving import serving
from towline.failpoints import Failpoints
from towline.settings import child_environment, load_settings

STOP_SECONDS = 30.0


async def main() -> None:
    settings = load_settings()
    metrics = Metrics(settings.registries)
    async with CountedLog(settings.kafka, metrics) as log:
        verify_topics = partial(require_topics, settings.kafka)
        app = gateway_app(
            settings, log, lambda: datetime.now(UTC), Failpoints(settings.failpoints), verify_topics, metrics=metrics
        )
        async with serving(app) as url:
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


@contextmanager
def gateway_process(**environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the gateway; yield its base URL and the process, which is killed at the end."""
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
    asyncio.run(main())
