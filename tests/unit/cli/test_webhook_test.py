"""``webhook test``: a signed sample, and the receiver's answer as it may be printed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import pytest
import yaml
from typer.testing import CliRunner

from schemas.catalogue import encode
from schemas.envelope import Envelope
from schemas.webhooks import Notified, Subscription, SubscriptionSet, SubscriptionsPublished
from streams.cli import app, webhook_test
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.routing import POLICIES_KEY
from streams.topics import EVENTS
from tests.support.builders import at
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
            "kafka": {"bootstrap": "127.0.0.1:1"},
            "egress": {"allow": [made.url.removeprefix("http://"), "127.0.0.1:1"]},
        }
        (tmp_path / "towline.yaml").write_text(yaml.safe_dump(document))
        monkeypatch.setenv("TOWLINE_SETTINGS", str(tmp_path / "towline.yaml"))
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        yield made


SUBSCRIPTIONS = SubscriptionSet(
    subscriptions=(
        Subscription(name="elsewhere", receiver="removed", events=("image.pushed",)),
        Subscription(
            name="lines", receiver="ci", events=("decision.deny",), format="text", template="{verdict}: {source}"
        ),
        Subscription(name="old-portal", receiver="ci", events=("image.pushed",), format="dtr"),
    )
)


@pytest.fixture
async def log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    memory = MemoryLog(partitions=1)
    published = SubscriptionsPublished(
        revision=1, digest=SUBSCRIPTIONS.digest, set=SUBSCRIPTIONS, cause_id="0" * 64, actor="test"
    )
    event = Envelope(id="1" * 64, source="test", subject="subscriptions@1", time=at(0), data=published)
    await memory.append(Append(EVENTS, POLICIES_KEY, encode(event), 0))

    @asynccontextmanager
    async def opened(_: object) -> AsyncIterator[MemoryLog]:
        yield memory

    monkeypatch.setattr(webhook_test, "KafkaLog", opened)
    return memory


async def towline(*arguments: str) -> tuple[int, str]:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["webhook", "test", *arguments])
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
        (("nobody",), "there are: away, ci, elsewhere, inside, lines, old-portal, unset"),
        (("ci", "--type", "no.such"), "'no.such' is nothing that webhooks tell of"),
        (("unset",), "env:NO_SUCH_SECRET"),
        (("elsewhere",), "no receiver removed"),
        (("old-portal", "--type", "poll.failed"), "format dtr has no word for poll.failed"),
    ],
)
async def test_what_cannot_be_sent_is_misuse(
    receiver: Receiver, log: MemoryLog, arguments: tuple[str, ...], reason: str
) -> None:
    code, out = await towline(*arguments)
    assert code == 2
    assert reason in out
    assert receiver.told == []


async def test_a_subscription_is_told_as_it_would_be_in_its_format(receiver: Receiver, log: MemoryLog) -> None:
    assert (await towline("lines"))[0] == 0
    assert (await towline("old-portal"))[0] == 0
    text, envelope = (json.loads(told.body) for told in receiver.told)
    assert text == {"text": "deny: local/dev/website:1.0-stable"}
    assert envelope["type"] == "TAG_PUSH"


@pytest.mark.parametrize("type_", get_args(Notified))
async def test_a_sample_can_be_of_everything_that_webhooks_tell_of(receiver: Receiver, type_: str) -> None:
    code, out = await towline("ci", "--type", type_)
    assert code == 0, out
    [told] = receiver.told
    sample = json.loads(told.body)
    kind, _, verdict = type_.partition(".")
    if kind == "decision":
        assert (sample["type"], sample["data"]["verdict"]) == ("decision.made", verdict)
    else:
        assert sample["type"] == type_
