"""``towline event replay-delivery``: what it takes, and what it says."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from schemas.catalogue import encode
from streams.cli import app
from streams.cli import events as commands
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.topics import EVENTS, INBOUND
from tests.support.builders import pushed, record_events
from tests.support.checkers import all_records
from tests.unit.dialects.deliveries import structured
from towline import limits

PUSH = pushed("local/dev/app:1.0", "one")


class _Shared:
    """The log of a test, which outlives each command."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def __aenter__(self) -> MemoryLog:
        return self._log

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryLog:
    made = MemoryLog(partitions=1)
    asyncio.run(made.append(Append(INBOUND, b"any", structured().body)))
    asyncio.run(record_events(made, PUSH, partitions=1))
    settings = tmp_path / "towline.yaml"
    settings.write_text("{}")
    monkeypatch.setenv("TOWLINE_SETTINGS", str(settings))
    monkeypatch.setattr(commands, "KafkaLog", lambda _: _Shared(made))
    return made


def replayed(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["event", "replay-delivery", *arguments])


def stored(log: MemoryLog, topic: str) -> list[bytes | None]:
    return [record.value for record in asyncio.run(all_records(log, topic))]


def test_a_place_of_the_inbound_topic_is_sent_again_and_said(log: MemoryLog) -> None:
    done = replayed("0/0")
    assert done.exit_code == 0
    assert "image.pushed local/dev/website:1.0" in done.output
    assert "sent to towline.inbound/0@1" in done.output
    assert stored(log, INBOUND) == [structured().body] * 2


def test_an_event_is_named_by_its_id(log: MemoryLog) -> None:
    done = replayed(PUSH.id, "--json")
    assert json.loads(done.stdout) == {
        "sent": "delivery",
        "why": "",
        "to": ["towline.events/0@1"],
        "told": [{"type": "image.pushed", "id": PUSH.id, "subject": "local/dev/app:1.0"}],
    }
    assert stored(log, EVENTS) == [encode(PUSH)] * 2


def test_a_hint_in_its_place_is_said_with_the_reason(log: MemoryLog) -> None:
    others = [pushed("local/dev/app:1.0", f"new {number}") for number in range(limits.recent_event_count)]
    asyncio.run(record_events(log, *others, partitions=1))
    done = replayed(PUSH.id)
    assert "local/dev/app:1.0 had 16 events since: its registry is asked what the tag has now" in done.output
    assert (done.exit_code, stored(log, EVENTS).count(encode(PUSH))) == (0, 1)


def test_a_dry_run_sends_nothing(log: MemoryLog) -> None:
    done = replayed("0/0", "--dry-run")
    assert (done.exit_code, len(stored(log, INBOUND))) == (0, 1)
    assert "image.pushed local/dev/website:1.0" in done.output
    assert "nothing was sent" in done.output


@pytest.mark.parametrize(
    ("delivery", "reason"),
    [("0", "neither"), ("0/-1", "neither"), ("1.0", "neither"), ("0/1", "no such record"), ("0" * 64, "has no event")],
)
def test_what_names_no_delivery_is_a_misuse(log: MemoryLog, delivery: str, reason: str) -> None:
    done = replayed(delivery)
    assert done.exit_code == 2
    assert reason in done.output
    assert (len(stored(log, INBOUND)), len(stored(log, EVENTS))) == (1, 1)
