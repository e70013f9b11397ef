"""``webhook test``: a signed sample, and the receiver's answer as it may be printed."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from streams.cli.webhook_test import send_sample
from tests.support.receivers import Receiver, answering, receiving, verified
from towline import limits

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CLOSED = "http://127.0.0.1:1"


@pytest.fixture
async def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    async with receiving() as made:
        document = {
            "receivers": {
                "ci": {"url": f"{made.url}/hook", "secrets": ["env:HOOK_SECRET"]},
                "away": {"url": CLOSED, "secrets": ["env:HOOK_SECRET"]},
                "inside": {"url": "http://169.254.169.254/", "secrets": ["env:HOOK_SECRET"]},
                "unset": {"url": made.url, "secrets": ["env:NO_SUCH_SECRET"]},
            },
            "egress": {"allow": [made.url.removeprefix("http://"), "127.0.0.1:1"]},
        }
        (tmp_path / "towline.yaml").write_text(yaml.safe_dump(document))
        monkeypatch.setenv("TOWLINE_SETTINGS", str(tmp_path / "towline.yaml"))
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        yield made


async def towline(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(send_sample)
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    return result.exit_code, result.output


async def test_a_receiver_that_takes_the_sample_is_fine(receiver: Receiver) -> None:
    receiver.replies = [answering(200, body=b"thanks \x1b[2Jclean")]
    code, out = await towline("ci", "--type", "transfer.completed")
    assert code == 0
    [told] = receiver.told
    assert verified(told, SECRET)
    assert json.loads(told.body)["type"] == "transfer.completed"
    assert out.startswith("ci: delivered: the receiver answered 200, after 0.")
    assert f"webhook-id: {told['webhook-id']}" in out
    assert "thanks \N{REPLACEMENT CHARACTER}[2Jclean" in out


async def test_each_sample_has_an_id_of_its_own(receiver: Receiver) -> None:
    await towline("ci")
    await towline("ci")
    assert len(set(receiver.ids())) == 2


async def test_a_refusal_is_a_finding_and_has_the_beginning_of_the_answer(receiver: Receiver) -> None:
    receiver.replies = [answering(401, body=b"who are you? " * 100)]
    code, out = await towline("ci", "--json")
    assert code == 1
    told = json.loads(out)
    assert (told["receiver"], told["cause"], told["status_code"]) == ("ci", "refused", 401)
    assert told["answer"].startswith("who are you?")
    assert len(told["answer"]) == 500
    assert told["webhook_id"] == receiver.ids()[0]


@pytest.mark.parametrize(("name", "cause"), [("away", "unreachable"), ("inside", "egress-refused")])
async def test_who_cannot_be_reached_is_infrastructure(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, name: str, cause: str
) -> None:
    monkeypatch.setattr(limits, "connect_timeout_seconds", 5.0)
    code, out = await towline(name, "--json")
    assert code == 3
    assert json.loads(out)["cause"] == cause


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("nobody",), "known receivers are: away, ci, inside, unset"),
        (("ci", "--type", "no.such"), "'no.such' is no type"),
        (("unset",), "env:NO_SUCH_SECRET"),
    ],
)
async def test_what_cannot_be_sent_is_misuse(receiver: Receiver, arguments: tuple[str, ...], reason: str) -> None:
    code, out = await towline(*arguments)
    assert code == 2
    assert reason in out
    assert receiver.told == []
