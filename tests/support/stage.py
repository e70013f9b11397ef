"""The whole product as its users run it: ``towline up`` on a broker, and the command line beside it."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agents.ticker import tick_at
from schemas.events import PollCompleted
from streams.routing import CLOCK_KEY, broadcast_appends
from streams.topics import EVENTS
from tests.support.brokers import BrokerUnderTest
from tests.support.system import PARTITIONS, STEP_SECONDS, System, system
from tests.support.waiting import eventually
from towline.registry import Registries

HOOK_TOKEN = "a secret between registry and gateway"


@dataclass
class Stage:
    """A running system, its registries, and the commands."""

    one: System
    registries: Registries
    broker: BrokerUnderTest

    async def towline(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Run a command; return its exit code, standard output and standard error."""
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "towline"),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.one.environment(**environment),
        )
        async with asyncio.timeout(STEP_SECONDS):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def done(self, *arguments: str, **environment: str) -> str:
        """Run a command that must succeed; return its standard output."""
        code, out, err = await self.towline(*arguments, **environment)
        assert code == 0, out + err
        return out

    async def explained(self, reference: str) -> dict[str, Any]:
        """Return what ``explain`` says of a tag."""
        _, out, _ = await self.towline("explain", reference, "--json")
        found: dict[str, Any] = json.loads(out)
        return found

    async def becomes(self, reference: str, policy: str, verdict: str, outcome: str | None = None) -> dict[str, Any]:
        """Wait until a policy has a verdict on a tag, and its transfer an outcome; return the explanation."""
        found: dict[str, Any] = {}

        async def is_so() -> bool:
            for item in (await self.explained(reference))["policies"]:
                if item["policy"] == policy:
                    found.clear()
                    found.update(item)
            return bool(found) and found["verdict"] == verdict and (outcome is None or found["outcome"] == outcome)

        await eventually(
            is_so, seconds=STEP_SECONDS, what=f"{verdict} {outcome or ''} of {policy} on {reference}: {found}"
        )
        return found

    async def hours_later(self, hours: int) -> None:
        """Let hours pass in the log, where the ticker sleeps."""
        tick = tick_at(datetime.now(UTC) + timedelta(hours=hours))
        await self.one.log.append_all(broadcast_appends(tick, CLOCK_KEY, PARTITIONS))

    async def polled(self, times: int) -> None:
        """Wait until sources were asked so often."""

        async def so() -> bool:
            data = [item.envelope.data for item in await self.one.records(EVENTS)]
            return sum(isinstance(item, PollCompleted) for item in data) >= times

        await eventually(so, seconds=STEP_SECONDS, what=f"poll number {times}")


def free_port() -> int:
    """Return a port for a gateway: a registry has to know its address before either of them runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def stage(
    broker: BrokerUnderTest,
    folder: Path,
    registries: Mapping[str, Mapping[str, Any]],
    gateway_port: int,
    *,
    tick_seconds: float = 1,
    receivers: Mapping[str, Any] | None = None,
    egress: Mapping[str, Any] | None = None,
) -> AsyncIterator[Stage]:
    """Run ``towline up`` with the registry ``first`` sending webhooks to it."""
    hooks = {"first": {"registry": "first", "dialect": "distribution", "token": "env:HOOK_TOKEN"}}
    async with (
        system(
            broker.bootstrap,
            folder,
            registries=registries,
            hooks=hooks,
            receivers=receivers,
            egress=egress,
            tick_seconds=tick_seconds,
        ) as one,
        Registries(one.settings.registries) as clients,
    ):
        with (folder / "up.log").open("wb") as sink:
            up = await asyncio.create_subprocess_exec(
                str(Path(sys.executable).parent / "towline"),
                "up",
                stderr=sink,
                env=one.environment(HOOK_TOKEN=HOOK_TOKEN, TOWLINE_GATEWAY_PORT=str(gateway_port)),
            )
        try:
            yield Stage(one, clients, broker)
        finally:
            up.terminate()
            assert await asyncio.wait_for(up.wait(), 60) == 0, (folder / "up.log").read_text()[-3000:]
