"""A pull mirror of 200 tags on Kafka: what it asks a real registry, what it copies, and what it leaves in the log."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.events import ImageObserved, PollCompleted, SyncRequested, TagsListed
from schemas.outcomes import Outcome
from schemas.patterns import SourcePattern
from schemas.policies import PolicySet
from streams.serving import serving
from streams.topics import EVENTS
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import policy
from tests.support.distribution import distribution
from tests.support.faults import Faults
from tests.support.relay import Relay
from tests.support.system import MOMENT, System, system
from tests.support.waiting import eventually
from towline.registry import Registries, RegistryClient, push_image
from towline.settings import RegistrySettings

pytestmark = [pytest.mark.kafka, pytest.mark.distribution, pytest.mark.asyncio(loop_scope="module")]

TAG_COUNT = 200
SOURCE = SourcePattern.parse("first/vendor/app")


@dataclass
class Mirrored:
    """A running system that mirrors, and what reaches the source."""

    one: System
    requests: Faults
    #: A client of the source that goes around the counting.
    client: RegistryClient

    async def after(self, act: Awaitable[object]) -> dict[str, int]:
        """Do what has the source asked; return how many events of each kind follow until all has ended."""
        before = await self.counts()
        self.requests.requests.clear()
        await act

        async def ended() -> bool:
            counts = await self.counts()
            return counts["polls"] > before["polls"] and counts["observed"] == counts["transferred"]

        await eventually(ended, seconds=150, what="the end of a poll, and of the copies that it leads to")
        return dict(await self.counts() - before)

    async def counts(self) -> Counter[str]:
        data = [item.envelope.data for item in await self.one.records(EVENTS)]
        kinds = {"observed": ImageObserved, "listed": TagsListed, "polls": PollCompleted, "transferred": Outcome}
        return Counter({name: sum(isinstance(item, kind) for item in data) for name, kind in kinds.items()})

    async def sync(self, number: int) -> None:
        """Record what ``mirror sync`` records."""
        data = SyncRequested(policy="pull", source=SOURCE, actor="test")
        await self.one.push([Envelope(content_id("test", str(number)), "test", str(SOURCE), MOMENT, data)])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mirrored(module_broker: BrokerUnderTest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mirrored]:
    folder = tmp_path_factory.mktemp("mirror")
    with distribution() as first, distribution() as second:
        async with Relay(first) as relay, Registries({"first": RegistrySettings(url=first)}) as direct:
            requests = Faults(relay)
            async with (
                serving(requests) as counted,
                system(
                    module_broker.bootstrap,
                    folder,
                    registries={"first": {"url": counted}, "second": {"url": second}},
                    tick_seconds=3600,
                ) as one,
            ):
                for role in ("evaluate", "transfer", "observe"):
                    await one.start(role)
                yield Mirrored(one, requests, direct("first"))


async def test_the_first_poll_copies_all_and_later_ones_ask_once_for_each_tag_and_copy_what_moved(
    mirrored: Mirrored,
) -> None:
    image = await push_image(mirrored.client, SOURCE.path, "0", [b"layer"])
    manifest = await mirrored.client.get_manifest(SOURCE.path, image.digest)
    for number in range(1, TAG_COUNT):
        await mirrored.client.put_manifest(SOURCE.path, str(number), manifest)
    pull = PolicySet(policies=(policy("pull", str(SOURCE), "second/vendor/app", poll="30m"),))
    first = await mirrored.after(mirrored.one.apply(pull))
    assert first == {"observed": TAG_COUNT, "listed": 1, "polls": 1, "transferred": TAG_COUNT}

    assert await mirrored.after(mirrored.sync(1)) == {"polls": 1}
    assert len(mirrored.requests.matching("GET", "/tags/list")) == 1
    looks = mirrored.requests.matching("HEAD", "/manifests/")
    assert [look.headers["if-none-match"] for look in looks] == [f'"{image.digest}"'] * TAG_COUNT
    assert {look.path.rpartition("/")[2] for look in looks} == {str(number) for number in range(TAG_COUNT)}
    assert mirrored.requests.count("GET", "/manifests/|/blobs/") == 0

    moved = await push_image(mirrored.client, SOURCE.path, "7", [b"another layer"])
    assert await mirrored.after(mirrored.sync(2)) == {"observed": 1, "polls": 1, "transferred": 1}
    # By the observer and by tag none; the copy itself reads the one digest.
    reads = mirrored.requests.matching("GET", "/manifests/")
    assert {read.path.rpartition("/")[2] for read in reads} == {moved.digest}
    assert mirrored.requests.count("HEAD", r"/manifests/[0-9]+\?") == TAG_COUNT
    async with Registries(mirrored.one.settings.registries) as registries:
        found = {tag: await registries("second").resolve("vendor/app", tag) for tag in ("6", "7", "8")}
    assert found == {"6": image.digest, "7": moved.digest, "8": image.digest}
