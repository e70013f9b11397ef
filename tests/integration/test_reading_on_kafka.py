"""A gateway with readers on a broker: it follows the log by itself, and one without readers keeps no read side."""

from pathlib import Path

import httpx
import pytest

from streams.kafka_log import KafkaLog
from streams.log import Append
from streams.projection.projection import FILE_NAME
from streams.projection.rows import PROJECTED
from streams.provision import create_topics
from streams.running import gateway_running
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import completed, policy, published, pushed
from tests.support.checkers import all_records
from tests.support.waiting import eventually
from tests.support.world import PARTITIONS, World
from towline.settings import GatewaySettings, KafkaSettings, Settings

TOKEN = "canary-reader-4711"
READERS = GatewaySettings.model_validate({"port": 0, "readers": {"auditor": "env:AUDITOR"}})


@pytest.mark.kafka
async def test_a_gateway_with_readers_follows_the_log_and_answers_from_it(
    module_broker: BrokerUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR", TOKEN)
    kafka = KafkaSettings(bootstrap=module_broker.bootstrap, partitions=PARTITIONS)
    await create_topics(kafka)
    world = World()
    await world.record(published(policy("to-qa", "first/dev/app", "first/qa/app")), pushed("first/dev/app:1", "one"))
    await world.end("first/qa/app:1", completed)
    settings = Settings(kafka=kafka, gateway=READERS, data_dir=tmp_path)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        gateway_running(settings) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as client,
        KafkaLog(kafka) as log,
    ):

        async def is_read() -> bool:
            return (await client.get("/api/v1/trail")).status_code == 200

        await eventually(is_read, seconds=60, what="the empty log read")
        for topic in PROJECTED:
            records = await all_records(world.log, topic)
            await log.append_all([Append(topic, one.key, one.value or b"", one.partition) for one in records])

        async def is_there() -> bool:
            found = (await client.get("/api/v1/explain/first/qa/app:1")).json()["explanation"]
            return found["is_known"] and bool(found["origin"]["hops"])

        await eventually(is_there, seconds=60, what="the transfer in the answers")
        told = (await client.get("/api/v1/trail")).json()
        ends = [await log.high_watermark(PROJECTED[0], partition) for partition in range(PARTITIONS)]
        assert told["as_of"][PROJECTED[0]] == ends
        assert "towline_projection_lag_records 0.0" in (await client.get("/metrics")).text
        assert (await client.get("/api/v1/trail", headers={"Authorization": "Bearer x"})).status_code == 401
    assert _is_there(tmp_path)


@pytest.mark.kafka
async def test_a_gateway_without_readers_keeps_no_read_side(module_broker: BrokerUnderTest, tmp_path: Path) -> None:
    kafka = KafkaSettings(bootstrap=module_broker.bootstrap, partitions=PARTITIONS)
    await create_topics(kafka)
    settings = Settings(kafka=kafka, gateway=GatewaySettings(port=0), data_dir=tmp_path)
    async with (
        gateway_running(settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client,
    ):
        assert (await client.get("/api/v1/trail")).status_code == 403
        assert "towline_projection" not in (await client.get("/metrics")).text
    assert not _is_there(tmp_path)


def _is_there(folder: Path) -> bool:
    return (folder / FILE_NAME).exists()
