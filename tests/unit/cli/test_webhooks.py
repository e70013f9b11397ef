"""``towline webhook``: files in, rows, files and exit codes out; what is in force is read from the log."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from schemas.webhooks import SubscriptionSet
from streams.cli import app, webhooks
from streams.cli.webhook import WebhookCommands
from streams.memory_log import MemoryLog
from streams.publication import RevisionConflictError
from streams.routing import command_append
from streams.subscriptions import publish_subscriptions, subscriptions_in_force
from tests.support.builders import at, pushed, record_events
from tests.support.subscriptions import (
    subscription,
    subscription_ended,
    subscriptions_proposed,
    subscriptions_published,
    webhook_delivered,
    webhook_failed,
)
from tests.unit.notify.playing import Told
from tests.unit.policy.test_publication import evaluated
from towline.errors import MisuseError, NoAnswerError
from towline.notify.document import read_subscriptions

PARTITIONS = 3
SETTINGS = """\
registries: {local: {url: "http://127.0.0.1:5000"}}
receivers:
  hub: {url: "https://hub.example/in", secrets: ["env:HUB"]}
  chat: {url_from: "env:CHAT"}
"""
FILE = """\
subscriptions:
  - {name: quiet, receiver: hub, events: [image.pushed], repository: local/dev/*}
  - {name: chat, receiver: chat, events: [image.pushed], format: text, template: "{source} — {reason}"}
"""
SET = (
    subscription("quiet", "image.pushed", repository="local/dev/*"),
    subscription(
        "chat", "image.pushed", "decision.deny", receiver="chat", format="text", template="{source}\n{reason}"
    ),
    subscription("old", "image.pushed", inactive="the receiver answered 410"),
)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryLog:
    memory = MemoryLog(partitions=PARTITIONS)

    @asynccontextmanager
    async def opened(_: object) -> AsyncIterator[MemoryLog]:
        yield memory

    monkeypatch.setattr(webhooks, "KafkaLog", opened)
    (tmp_path / "towline.yaml").write_text(SETTINGS)
    monkeypatch.setenv("TOWLINE_SETTINGS", str(tmp_path / "towline.yaml"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "subscriptions.yaml").write_text(FILE)
    return memory


def towline(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["webhook", *arguments])
    return result.exit_code, result.output


def in_log(log: MemoryLog, fill: Callable[[MemoryLog], Awaitable[None]]) -> None:
    asyncio.run(fill(log))  # type: ignore[arg-type]


async def filled(log: MemoryLog) -> None:
    """Three webhooks of each active subscription: one delivered, one failed, one waiting; ends are told twice."""
    await record_events(log, subscriptions_published(*SET, revision=3), partitions=PARTITIONS)
    told = Told(*SET)
    for number in (1, 2, 3):
        for command in told.take(pushed(f"local/dev/app:{number}", "one", key=str(number))):
            await log.append(command_append(command))
            await log.append(command_append(command))
            if number == 1:
                ends = [webhook_delivered(command, time=at(100))] * 2
            else:
                ends = [webhook_failed(command, time=at(50 if command.subject == "quiet" else 200))] * (3 - number)
            await record_events(log, *ends, partitions=PARTITIONS)


def test_a_list_says_of_each_subscription_when_it_was_told_last_and_what_waits(log: MemoryLog) -> None:
    in_log(log, filled)
    code, out = towline("list")
    assert code == 0
    lines = [line.split() for line in out.splitlines() if line]
    assert lines[0][:3] == ["revision", "3,", "published"]
    rows = {row[0]: row[1:] for row in lines[2:5]}
    assert rows["quiet"] == [
        "hub", "local/dev/*", "image.pushed", "cloudevents", at(100), at(50), "1", "1", "1", "active",
    ]  # fmt: skip
    assert rows["chat"] == [
        "chat", "all", "image.pushed,decision.deny", "text", at(100), at(200), "1", "1", "1", "active",
    ]  # fmt: skip
    assert rows["old"] == ["hub", "all", "image.pushed", "cloudevents", "never", "never", "0", "0", "0", "inactive"]
    assert "chat: exhausted: the receiver answered 503" in out, "the last thing that happened to it"
    assert "quiet: exhausted" not in out, "a success came after"
    assert "old: inactive: the receiver answered 410; `towline webhook apply` begins anew" in out


def test_a_list_for_programs_has_the_same(log: MemoryLog) -> None:
    in_log(log, filled)
    found = json.loads(towline("list", "--json")[1])
    assert found["revision"] == 3
    quiet, _, old = found["subscriptions"]
    assert quiet["subscription"]["repository"] == "local/dev/*"
    assert quiet["last_failure"] == {"time": at(50), "cause": "exhausted", "detail": "the receiver answered 503"}
    assert (quiet["delivered"], quiet["failed"], quiet["waiting"]) == (1, 1, 1)
    assert old["subscription"]["inactive"] == "the receiver answered 410"


def test_without_subscriptions_the_lists_are_empty(log: MemoryLog) -> None:
    assert towline("list")[1].strip() == "revision 0"
    assert towline("show") == (0, "# revision 0\nsubscriptions: []\n")
    assert json.loads(towline("show", "--json")[1]) == {"revision": 0, "subscriptions": []}


def test_what_is_shown_is_a_file_of_the_same_subscriptions(log: MemoryLog) -> None:
    in_log(log, filled)
    code, out = towline("show")
    assert code == 0
    assert read_subscriptions(out, None, None).subscriptions == SET
    assert "format: cloudevents" not in out, "what is left out is not written out"
    assert [one["name"] for one in yaml.safe_load(out)["subscriptions"]] == ["quiet", "chat", "old"]


def test_a_file_with_nothing_wrong_is_said_to_be_fine(log: MemoryLog) -> None:
    code, out = towline("check", "subscriptions.yaml")
    assert (code, out.split(":")[0]) == (0, "subscriptions.yaml")
    assert "2 subscriptions, nothing wrong" in out
    assert json.loads(towline("check", "subscriptions.yaml", "--json")[1])["problems"] == []


def test_a_file_that_must_not_be_applied_is_told_with_each_problem_and_is_not(log: MemoryLog, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(FILE.replace("receiver: hub", "receiver: mail").replace("{reason}", "{why}"))
    code, out = towline("check", "bad.yaml")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("bad.yaml:2: subscriptions.0.receiver: there is no receiver 'mail' in the settings")
    assert lines[1].startswith("bad.yaml:3: subscriptions.1.template: there is no field {why}")
    assert json.loads(towline("check", "bad.yaml", "--json")[1])["problems"] == lines
    code, out = towline("apply", "bad.yaml")
    assert (code, lines[1] in out) == (2, True)
    assert asyncio.run(subscriptions_in_force(log)).revision == 0


def test_applying_publishes_in_place_of_what_is_in_force(monkeypatch: pytest.MonkeyPatch, log: MemoryLog) -> None:
    in_log(log, filled)
    asked: list[tuple[object, list[str], int]] = []

    async def publish(to: MemoryLog, chosen: SubscriptionSet, *, replaces: int, **_: object) -> int:
        asked.append((to, [one.name for one in chosen.subscriptions], replaces))
        if replaces != 3:
            raise RevisionConflictError("revision 2 was replaced first")
        return replaces + 1

    monkeypatch.setattr(webhooks, "publish_subscriptions", publish)
    code, out = towline("apply", "subscriptions.yaml")
    assert (code, out.lstrip()) == (0, "revision 4 is in force in every partition: 2 subscriptions\n")
    code, out = towline("apply", "subscriptions.yaml", "--replaces", "2")
    assert (code, "was replaced first" in out) == (1, True)
    assert asked == [(log, ["quiet", "chat"], 3), (log, ["quiet", "chat"], 2)]


async def test_a_set_is_published_once_every_partition_has_it_and_an_end_takes_the_next_revision() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    chosen = SubscriptionSet(subscriptions=SET)
    async with evaluated(log):
        revision = await publish_subscriptions(log, chosen, replaces=0, actor="ann", timeout_seconds=30)
        assert revision == 1
        found = await subscriptions_in_force(log)
        assert (found.revision, found.subscriptions) == (1, chosen)
        assert found.published is not None
        assert found.published.data.actor == "ann"
        await record_events(log, subscription_ended("quiet", revision=1), partitions=PARTITIONS)
        with pytest.raises(
            RevisionConflictError, match=r"revision 1 was replaced first, by revision 2 of test: .*webhook"
        ):
            await publish_subscriptions(log, chosen, replaces=1, actor="ann", timeout_seconds=30)
        assert (await subscriptions_in_force(log)).revision == 2


async def test_who_names_a_revision_that_is_not_yet_or_finds_no_evaluator_is_told() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    with pytest.raises(MisuseError, match="there is no revision 7 to replace: revision 0 is in force"):
        await publish_subscriptions(log, SubscriptionSet(), replaces=7, actor="ann", timeout_seconds=30)
    with pytest.raises(NoAnswerError, match="then look at `towline webhook list`"):
        await publish_subscriptions(log, SubscriptionSet(), replaces=0, actor="ann", timeout_seconds=0.01)
    await record_events(log, subscriptions_proposed(*SET), partitions=PARTITIONS)
    async with evaluated(log):
        with pytest.raises(RevisionConflictError, match="of ann"):
            await publish_subscriptions(log, SubscriptionSet(), replaces=0, actor="bob", timeout_seconds=30)


@pytest.mark.parametrize("command", WebhookCommands.late)
def test_the_list_of_commands_says_of_each_what_it_says_itself(command: str) -> None:
    late = WebhookCommands.late[command]
    own, _, _ = late.imported(command).help.partition("\n\n")
    assert " ".join(own.split()) == late.help
    shown = CliRunner().invoke(app, ["webhook", command, "--help"])
    assert shown.exit_code == 0
    assert f" webhook {command} " in shown.stdout
