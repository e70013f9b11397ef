"""A registry whose webhooks are lost: comparing finds what they did not tell, and everything says so.

The registry ``second`` sends no webhooks; those of its pushes that are told come by ``event publish``. The ticker of
this system sleeps: the tests tick, so that hours pass when they say so.
"""

import json
import os
import socket
import urllib.request
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from prometheus_client.parser import text_string_to_metric_families

from schemas.descriptors import Descriptor
from schemas.references import Repository
from streams.topics import EVENTS
from tests.support.brokers import BrokerUnderTest
from tests.support.stage import Stage, stage
from tests.support.system import PARTITIONS, STEP_SECONDS
from towline.policy.decide import MISSED
from towline.registry import push_image

pytestmark = [pytest.mark.kafka, pytest.mark.distribution, pytest.mark.asyncio(loop_scope="module")]

SOURCE = Repository.parse("second/dev/app")
POLICIES = {
    "reconcile": "1h",
    "policies": [{"name": "app-to-first", "source": str(SOURCE), "target": "first/from-second/app"}],
}


@pytest.fixture(scope="module")
def metrics_port() -> int:
    """A port for the evaluator; the transferrer and the observer take the next two."""
    # Below those that the system gives out, where neighbours of a free one are mostly taken.
    for first in range(10_000 + os.getpid() % 10_000, 30_000, 3):
        with ExitStack() as taken, suppress(OSError):
            for port in range(first, first + 3):
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise AssertionError("no three ports in a row are free")


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="stage")
async def running(
    module_broker: BrokerUnderTest,
    two_registries: dict[str, dict[str, str]],
    gateway_port: int,
    metrics_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("reconciliation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOWLINE_WORKER_METRICS_PORT", str(metrics_port))
        async with stage(module_broker, folder, two_registries, gateway_port, tick_seconds=3600) as built:
            await push(built, "0.9")
            file = folder / "policies.yaml"
            file.write_text(yaml.safe_dump(POLICIES))
            await built.done("policy", "apply", str(file))
            await built.polled(1)
            yield built


async def push(stage: Stage, tag: str) -> Descriptor:
    return await push_image(stage.registries("second"), SOURCE.name, tag, [tag.encode()])


async def tell(stage: Stage, tag: str, image: Descriptor, folder: Path) -> None:
    """Publish the event of a push by hand."""
    body = {
        "specversion": "1.0",
        "id": tag,
        "source": "/test",
        "type": "image.pushed",
        "data": {"repository": str(SOURCE), "tag": tag, "digest": image.digest},
    }
    file = folder / "event.json"
    file.write_text(json.dumps({"headers": {}, "body": body}))
    await stage.done("event", "publish", str(file))


async def told(stage: Stage) -> dict[str, Any]:
    """What ``mirror reconciliation`` says of the source."""
    (found,) = json.loads(await stage.done("mirror", "reconciliation", "--json"))["repositories"]
    assert found["repository"] == str(SOURCE)
    return dict(found)


def counted(url: str, metric: str) -> dict[tuple[str, ...], float]:
    """The values of a metric by its labels, which are in the order of their names."""
    with urllib.request.urlopen(url, timeout=STEP_SECONDS) as answer:  # noqa: S310 - our own address
        text = answer.read().decode()
    return {
        tuple(label for _, label in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric
    }


async def test_what_was_there_before_anybody_asked_is_mirrored_and_not_missed(stage: Stage) -> None:
    await stage.becomes(f"{SOURCE}:0.9", "app-to-first", "mirror", "completed")
    assert (await told(stage))["pushes_missed"] == 0


async def test_a_push_that_no_webhook_told_is_found_and_mirrored_and_the_trail_says_how(
    stage: Stage, tmp_path: Path
) -> None:
    await tell(stage, "1.0", await push(stage, "1.0"), tmp_path)
    lost = await push(stage, "1.1")
    await stage.becomes(f"{SOURCE}:1.0", "app-to-first", "mirror", "completed")
    assert (await stage.explained(f"{SOURCE}:1.1"))["policies"] == []
    await stage.hours_later(2)
    await stage.becomes(f"{SOURCE}:1.1", "app-to-first", "mirror", "completed")
    assert await stage.registries("first").resolve("from-second/app", "1.1") == lost.digest
    for question in (("audit", "trail"), ("explain",)):
        assert MISSED in await stage.done(*question, f"{SOURCE}:1.1")
        assert MISSED not in await stage.done(*question, f"{SOURCE}:1.0")
    await stage.polled(2)
    found = await told(stage)
    assert (found["pushes_told"], found["pushes_missed"], found["share_missed"]) == (1, 1, 0.5)
    assert found["last_compared"] is not None


async def test_a_deletion_that_no_webhook_told_is_found(stage: Stage) -> None:
    client = stage.registries("second")
    await client.delete_manifest(SOURCE.name, await client.resolve(SOURCE.name, "0.9"))
    assert (await told(stage))["deletions_missed"] == 0
    await stage.hours_later(4)
    await stage.polled(3)
    assert (await told(stage))["deletions_missed"] == 1


async def test_the_mirror_says_when_it_is_compared_next(stage: Stage) -> None:
    (found,) = json.loads(await stage.done("mirror", "status", "--json"))["mirrors"]
    assert (found["policy"], found["poll"], found["reconcile"], found["code"]) == ("app-to-first", None, "1h", "ok")
    assert found["next_run"] > found["last_run"]


async def test_every_process_serves_its_metrics(stage: Stage, gateway_port: int, metrics_port: int) -> None:
    evaluator, transferrer, observer = (f"http://127.0.0.1:{metrics_port + role}/metrics" for role in range(3))
    assert counted(evaluator, "towline_pushes_total") == {("told", "second"): 1.0, ("missed", "second"): 1.0}
    assert counted(evaluator, "towline_deletions_total") == {("missed", "second"): 1.0}
    assert counted(evaluator, "towline_transfers_total") == {("", "completed", "copy"): 3.0}
    assert counted(evaluator, "towline_polls_total") == {("completed", "second"): 3.0}
    assert set(counted(evaluator, "towline_clock_timestamp_seconds")) == {(str(n),) for n in range(PARTITIONS)}
    for url in (transferrer, observer):
        assert counted(url, "towline_records_written_total")[(EVENTS,)] > 0
    gateway = f"http://127.0.0.1:{gateway_port}/metrics"
    assert set(counted(gateway, "towline_records_written_total")) <= {(EVENTS,)}
    assert counted(gateway, "process_start_time_seconds")
