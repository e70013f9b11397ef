"""Dead letters on a broker: what a producer sent is rejected, and once it can be used it is sent again and decided."""

import json
from pathlib import Path

import pytest

from schemas.policies import PolicySet
from streams.deadletters import dead_letter
from streams.log import Append, LogRecord
from streams.topics import DEADLETTERS, INBOUND
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import policy
from tests.support.stage import Stage
from tests.support.system import STEP_SECONDS, system
from tests.support.waiting import eventually
from tests.unit.dialects.deliveries import structured
from towline.registry import Registries

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio]

DEV = "local/dev/website"


async def test_letters_are_listed_by_cause_and_sent_again_once(broker: BrokerUnderTest, tmp_path: Path) -> None:
    delivery = structured()
    headers = tuple((name, value.encode()) for name, value in delivery.headers.items())
    registries = {"local": {"url": "http://127.0.0.1:1"}}
    async with system(broker.bootstrap, tmp_path, registries=registries) as one, Registries({}) as clients:
        stage = Stage(one, clients, broker)
        await one.start("evaluate")
        await one.apply(PolicySet(policies=(policy("to-qa", DEV, "local/qa/website"),)))
        await one.log.append_all([Append(INBOUND, b"any", b"{%d" % number) for number in range(3)])
        # What an older version could not read.
        record = LogRecord(INBOUND, 1, 4711, b"any", delivery.body, headers, 1_000)
        await one.log.append(dead_letter(record, "unknown dialect 'new'"))

        async def rejected() -> bool:
            return len(await one.records(DEADLETTERS)) == 4

        await eventually(rejected, seconds=STEP_SECONDS, what="four dead letters")
        groups = json.loads(await stage.done("deadletters", "list", "--json"))["groups"]
        assert [(group["count"], group["requeued"]) for group in groups] == [(3, 0), (1, 0)]
        code, out, err = await stage.towline("deadletters", "requeue", "--cause", "unknown dialect", "--json")
        assert (code, len(json.loads(out)["requeued"])) == (0, 1), err

        async def decided() -> bool:
            return any(str(decision.data.source.repository) == DEV for decision in await one.decisions())

        await eventually(decided, seconds=STEP_SECONDS, what="the decision")
        before = len(await one.decisions())
        assert (await stage.towline("deadletters", "requeue", "--cause", "unknown dialect"))[0] == 1
        assert (await stage.towline("deadletters", "requeue", "--cause", "not JSON"))[0] == 1
        groups = json.loads(await stage.done("deadletters", "list", "--json"))["groups"]
        assert [(group["count"], group["requeued"]) for group in groups] == [(3, 0), (1, 1)]
        assert len(await one.decisions()) == before
