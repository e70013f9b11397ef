"""W05: SIGKILL of the sealer at each step. The chain has no fork, and every decision is sealed once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.catalogue import encode
from schemas.checkpoints import Checkpoint
from schemas.examples import EXAMPLES
from streams.log import Append
from streams.topics import CHECKPOINTS, DECISIONS
from tests.chaos.test_evaluator_killed import SIGKILLED
from tests.support.brokers import BrokerUnderTest
from tests.support.system import PARTITIONS, System, system
from tests.support.waiting import eventually
from tests.unit.audit.sealed import private_pem
from towline.audit.leaves import record_leaf
from towline.audit.merkle import root_of
from towline.failpoints import SITES

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.asyncio(loop_scope="module")]

STEPS = sorted(site for site in SITES if site.startswith("sealer."))
EVERY = 5
#: About five seconds: it does no harm when joining the group and recovering take longer.
LOOKS_BEFORE_NEXT = 50


@dataclass
class Stage:
    one: System
    file: Path

    async def decide(self, count: int) -> None:
        """Write decisions to every partition."""
        value = encode(EXAMPLES["decision.made"])
        decisions = [Append(DECISIONS, b"here/dev", value, partition=partition) for partition in range(PARTITIONS)]
        for _ in range(count):
            await self.one.log.append_all(decisions)

    async def leaves(self, partition: int) -> list[bytes]:
        end = await self.one.log.high_watermark(DECISIONS, partition)
        records = [record async for record in self.one.log.read(DECISIONS, partition, 0, end)]
        return [record_leaf(item.key, item.value, item.headers, item.timestamp_ms) for item in records]

    async def checkpoints(self) -> list[list[Checkpoint]]:
        """Return those of each partition, in order."""
        found = [item.envelope.data for item in await self.one.records(CHECKPOINTS)]
        return [
            [data for data in found if isinstance(data, Checkpoint) and data.partition == partition]
            for partition in range(PARTITIONS)
        ]

    async def is_sealed(self) -> bool:
        """Tell whether every decision has a checkpoint."""
        sizes = [max((data.size for data in found), default=0) for found in await self.checkpoints()]
        return sizes == [await self.one.log.high_watermark(DECISIONS, partition) for partition in range(PARTITIONS)]

    async def assert_one_chain(self) -> None:
        """Each number stands once, follows the one before it, and commits to the decisions.

        Topics only grow: what holds in the end held after each kill.
        """
        for partition, found in enumerate(await self.checkpoints()):
            leaves = await self.leaves(partition)
            sealed = [leaf for data in found for leaf in data.leaves]
            assert [data.number for data in found] == list(range(len(found)))
            assert [data.root for data in found] == [root_of(leaves[: data.size]).hex() for data in found]
            assert sealed == [leaf.hex() for leaf in leaves]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(module_broker: BrokerUnderTest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("sealer")
    (folder / "seal.pem").write_bytes(private_pem())
    audit = {
        "key": f"file:{folder / 'seal.pem'}",
        "every_records": EVERY,
        "every_seconds": 0.5,
        "file": str(folder / "checkpoints.jsonl"),
    }
    async with system(module_broker.bootstrap, folder, registries={}, audit=audit, session_timeout_seconds=2) as one:
        yield Stage(one, folder / "checkpoints.jsonl")


async def test_a_kill_at_any_step_leaves_one_chain_over_every_decision(stage: Stage) -> None:
    """Whoever comes after a kill is itself killed at the next step; the last one is not."""
    for step in STEPS:
        doomed = await stage.one.start("seal", failpoints=f"{step}:kill@2")
        ended = asyncio.create_task(doomed.ended())
        await stage.decide(7)
        for look in count(1):
            await asyncio.wait([ended], timeout=0.1)
            if ended.done():
                break
            if look % LOOKS_BEFORE_NEXT == 0:
                # What Faust lost during its recovery was taken from the log, and never came by here: the next one does.
                await stage.decide(1)
        assert ended.result() == SIGKILLED, f"{step}: {doomed.said()}"
    worker = await stage.one.start("seal")
    await eventually(stage.is_sealed, seconds=60, what=f"a checkpoint over each: {worker.said()}")
    assert await worker.terminate() == 0
    await stage.assert_one_chain()


async def test_a_sealer_that_begins_with_nothing_goes_on_with_the_chain(stage: Stage) -> None:
    await stage.decide(3)
    worker = await stage.one.start("seal", name="elsewhere")
    await eventually(stage.is_sealed, seconds=60, what=f"a checkpoint over each: {worker.said()}")
    assert await worker.terminate() == 0
    await stage.assert_one_chain()
    in_the_topic = {item.record.value for item in await stage.one.records(CHECKPOINTS)}
    assert set(stage.file.read_bytes().splitlines()) == in_the_topic
