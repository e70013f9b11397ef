"""Each part with a principal of its own, on a broker that knows exactly the rights that ``towline topics acls`` prints.

Everything works with them, and nobody writes where they may not: least of all who only reads.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
import yaml
from typer.core import TyperGroup
from typer.testing import CliRunner

from schemas.descriptors import Descriptor
from schemas.events import PollCompleted, TransferCompleted
from schemas.webhooks import WebhookDelivered
from streams.audit.keypair import make_key_pair
from streams.cli import Commands, app
from streams.cli.late import LateGroup
from streams.kafka_log import KafkaLog
from streams.log import Append
from streams.principals import GATEWAY, OPERATOR, READER, principal_of, writers
from streams.topics import CHECKPOINTS, COMMANDS, DECISIONS, EVENTS, TOPICS
from streams.workers import ROLES
from tests.support.brokers import BrokerUnderTest
from tests.support.gateway_process import gateway_process
from tests.support.kafka.guarded import PRINCIPALS, STRANGER, GuardedKafka, guarded_kafka
from tests.support.parts import KAFKA_VERSION, kafka_is_here
from tests.support.receivers import receiving
from tests.support.stage import HOOK_TOKEN, Stage
from tests.support.system import PARTITIONS, STEP_SECONDS, system
from tests.support.waiting import eventually
from towline.errors import LogError
from towline.registry import Registries, push_image

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.distribution,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not kafka_is_here(), reason="the embedded broker asks nobody who they are: make parts"),
]

POLICIES = [
    {"name": "app-to-qa", "source": "first/dev/app", "target": "second/qa/app"},
    {"name": "old-to-first", "source": "second/old/app", "target": "first/old/app", "poll": "1h"},
]
SUBSCRIPTION = {"name": "deploy", "receiver": "pipeline", "repository": "second/qa/*", "events": ["transfer.completed"]}
TARGET = "second/qa/app:1.0"
#: Whoever reads does not have the secrets of the gateway.
GOES_WITHOUT = ("--allow", "unread-credential@env:HOOK_TOKEN")

#: Every command of ``audit`` and ``replay`` with arguments that make it read, and the exit code that it has then.
#: ``{folder}`` is a new one, ``{system}`` that of the settings; ``{decision}`` is one that was sealed.
READING: Final[dict[str, tuple[list[str], int]]] = {
    "audit key": (["{folder}/another.pem"], 0),
    "audit trail": ([TARGET], 0),
    "audit lineage": ([TARGET], 0),
    "audit verify": (["--key", "{system}/seal.pem.pub"], 0),
    "audit prove": (["{decision}"], 0),
    "audit completeness": ([], 0),
    "audit export": (["{folder}/tables", *GOES_WITHOUT], 0),
    "audit blast": (["--policy", "app-to-qa"], 0),
    "replay verify": ([], 0),
    "replay export": (["{folder}/slice.gz", *GOES_WITHOUT], 0),
    "replay what-if": (["{system}/policy.yaml"], 0),
    "replay state": (["second/qa/app", "--at", "now"], 0),
    "replay snapshot": (["--directory", "{folder}"], 0),
    # Its part is to write, and it does so only where nothing is yet.
    "replay import": (["{folder}/slice.gz"], 2),
}
#: What only reads besides.
LISTING: Final = (
    ["explain", "first/dev/app:1.0"],
    ["policy", "list"],
    ["webhook", "list"],
    ["transfers", "list"],
    ["rollback", "list"],
    ["topics", "verify"],
)


def commands_of(group: str) -> Iterator[str]:
    """Yield the commands of a group of ``towline``, and those of the groups in it."""
    waiting = [(group, Commands.late[group].imported(group))]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, LateGroup):
            waiting += [(f"{path} {name}", late.imported(name)) for name, late in found.late.items()]
        elif isinstance(found, TyperGroup):
            waiting += [(f"{path} {name}", inner) for name, inner in found.commands.items()]
        else:
            yield path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    with guarded_kafka(tmp_path_factory.mktemp("guarded")) as started:
        environment = {"TOWLINE_KAFKA_BOOTSTRAP": started.node.address}
        printed = CliRunner().invoke(app, ["topics", "acls"], env=environment)
        assert printed.exit_code == 0, printed.output
        started.give(printed.stdout.splitlines())
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="stage")
async def running(
    guarded: GuardedKafka,
    two_registries: dict[str, dict[str, str]],
    gateway_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    """The system in parts, each as its principal; the command line and the test itself are the operator."""
    folder = tmp_path_factory.mktemp("principals")
    (folder / "secret").write_text("a secret between us and the receiver")
    make_key_pair(folder / "seal.pem")
    as_operator = guarded.members(principal_of(OPERATOR))
    async with (
        receiving() as pipeline,
        system(
            guarded.address,
            folder,
            registries=two_registries,
            hooks={"first": {"registry": "first", "dialect": "distribution", "token": "env:HOOK_TOKEN"}},
            receivers={"pipeline": {"url": f"{pipeline.url}/", "secrets": [f"file:{folder / 'secret'}"]}},
            egress={"allow": [pipeline.url.removeprefix("http://")]},
            audit={"key": f"file:{folder / 'seal.pem'}", "every_seconds": 1},
            kafka=as_operator,
        ) as one,
        Registries(one.settings.registries) as clients,
    ):
        stage = Stage(one, clients, BrokerUnderTest(guarded.address, "Apache Kafka", KAFKA_VERSION))
        for role in ROLES:
            await one.start(role, TOWLINE_KAFKA_USERNAME=principal_of(role))
        environment = {
            "HOOK_TOKEN": HOOK_TOKEN,
            "TOWLINE_GATEWAY_PORT": str(gateway_port),
            "TOWLINE_KAFKA_USERNAME": principal_of(GATEWAY),
            "TOWLINE_SETTINGS": str(one.settings_file),
        }
        with gateway_process(**environment):
            yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def copied(stage: Stage) -> Descriptor:
    """An image that went the whole way, by webhook, decision, copy and webhook; and a source that was polled."""
    await push_image(stage.registries("second"), "old/app", "1.0", [b"old layer"])
    for command, members in (("policy", {"policies": POLICIES}), ("webhook", {"subscriptions": [SUBSCRIPTION]})):
        (stage.one.folder / f"{command}.yaml").write_text(yaml.safe_dump(members))
        await stage.done(command, "apply", str(stage.one.folder / f"{command}.yaml"))
    image = await push_image(stage.registries("first"), "dev/app", "1.0", [b"layer"])

    async def so() -> bool:
        seen = {type(item.envelope.data) for item in await stage.one.records(EVENTS)}
        sealed = await stage.one.records(CHECKPOINTS)
        return seen >= {TransferCompleted, WebhookDelivered, PollCompleted} and bool(sealed)

    said = [worker.log_file for worker in stage.one.running]
    await eventually(so, seconds=2 * STEP_SECONDS, what=f"a copy, a webhook of it, a poll and a checkpoint: {said}")
    return image


async def sealed_decision(stage: Stage) -> str:
    """Wait until the decision on the image is sealed; return its id."""
    [decision] = {item.id for item in await stage.one.decisions() if str(item.data.target) == TARGET}

    async def so() -> bool:
        return (await stage.towline("audit", "prove", decision))[0] == 0

    await eventually(so, seconds=STEP_SECONDS, what="a checkpoint over the decision")
    return decision


async def ends(stage: Stage) -> dict[tuple[str, int], int]:
    """The end of every partition of every topic."""
    return {
        (topic, partition): await stage.one.log.high_watermark(topic, partition)
        for topic in TOPICS
        for partition in range(PARTITIONS)
    }


async def test_every_part_does_its_work_with_the_rights_of_its_principal(stage: Stage, copied: Descriptor) -> None:
    assert await stage.registries("second").resolve("qa/app", "1.0") == copied.digest
    assert all(worker.process.returncode is None for worker in stage.one.running)


async def test_every_command_that_audits_or_replays_is_tried_here() -> None:
    assert {*commands_of("audit"), *commands_of("replay")} == READING.keys()


@pytest.mark.usefixtures("copied")
async def test_who_only_reads_can_audit_and_replay_and_nothing_is_written(stage: Stage, tmp_path: Path) -> None:
    given = {"folder": str(tmp_path), "system": str(stage.one.folder), "decision": await sealed_decision(stage)}
    for worker in stage.one.running:
        assert await worker.terminate() == 0, worker.said()
    before = await ends(stage)
    tried = [(command.split() + arguments, code) for command, (arguments, code) in READING.items()]
    for command, code in [*tried, *((command, 0) for command in LISTING)]:
        arguments = [part.format(**given) for part in command]
        answer = await stage.towline(*arguments, TOWLINE_KAFKA_USERNAME=principal_of(READER))
        assert answer[0] == code, (command, *answer)
    assert await ends(stage) == before


@pytest.mark.parametrize("principal", PRINCIPALS)
async def test_the_broker_refuses_whoever_writes_where_they_may_not(
    stage: Stage, guarded: GuardedKafka, principal: str
) -> None:
    refused = [topic for topic in TOPICS if principal not in writers(topic)]
    async with KafkaLog(guarded.settings(principal)) as log:
        for topic in refused:
            before = await stage.one.log.high_watermark(topic, 0)
            with pytest.raises(LogError, match="TopicAuthorizationFailed"):
                await log.append(Append(topic, None, b"{}", 0))
            assert await stage.one.log.high_watermark(topic, 0) == before


async def test_who_only_reads_may_write_nowhere_and_the_gateway_no_decision_and_no_command() -> None:
    assert not any(principal_of(READER) in writers(topic) for topic in TOPICS)
    assert writers(DECISIONS) == writers(COMMANDS) == {principal_of("evaluate")}
    assert writers(CHECKPOINTS) == {principal_of("seal")}


async def test_who_has_no_rights_sees_no_topic_and_who_has_another_password_is_nobody(
    stage: Stage, tmp_path: Path
) -> None:
    stranger = {"TOWLINE_KAFKA_USERNAME": STRANGER, "TOWLINE_KAFKA_SASL_MECHANISM": "plain"}
    code, _, said = await stage.towline("explain", TARGET, **stranger)
    assert (code, f"or {STRANGER} may not see it: towline topics acls" in said) == (3, True), said
    (tmp_path / "password").write_text("another")
    forged = {"TOWLINE_KAFKA_USERNAME": principal_of(READER), "TOWLINE_KAFKA_PASSWORD": f"file:{tmp_path}/password"}
    code, _, said = await stage.towline("explain", TARGET, **forged)
    assert code == 3, said
    assert "another" not in said
