"""Any stored delivery can be sent through again, and nothing happens twice (E01)."""

from typing import Any

import pytest

from agents.intake import Intake
from agents.table import MemoryTable
from schemas.catalogue import decode, encode
from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.events import ImageHinted
from schemas.references import Frozen
from streams.log import Append, Position
from streams.memory_log import MemoryLog
from streams.redelivery import SOURCE, Redelivery, event_again, inbound_again
from streams.topics import COMMANDS, DECISIONS, EVENTS, INBOUND
from tests.support.builders import arrived, at, policy, proposed, pushed, record_events
from tests.support.checkers import all_records, check_all
from tests.support.gateways import events_in
from tests.unit.agents.harness import PARTITIONS, Run
from tests.unit.dialects.deliveries import distribution, distribution_event, fixture, structured
from towline import limits
from towline.dialects import Delivery
from towline.errors import MisuseError, UnusableInputError

LATER = at(3600)
TO_QA = policy("to-qa", "local/dev/*", "local/qa/{1}")
JFROG = policy("jfrog", "local/docker-local/dev/*", "local/qa/{1}")


class Scene:
    """A log, the intake and an evaluator."""

    def __init__(self) -> None:
        self.log = MemoryLog(partitions=PARTITIONS)
        self._runs = [Run(self.log, MemoryTable(), handler=Intake()), Run(self.log, MemoryTable())]

    async def work(self) -> None:
        """Let everything be taken in that is there."""
        for run in self._runs:
            await run.drain()
            assert run.failures == []

    async def close(self) -> None:
        for run in self._runs:
            await run.shell.close()

    async def produce(self, delivery: Delivery, dialect: str) -> Position:
        """Write a delivery as a producer does, and let it be taken in."""
        headers = [(name, value.encode()) for name, value in delivery.headers.items()]
        headers += [("dialect", dialect.encode()), ("registry", b"local")]
        position = await self.log.append(Append(INBOUND, b"any", delivery.body, headers=tuple(headers)))
        await self.work()
        return position

    async def tell(self, *events: Envelope[Frozen]) -> None:
        """Bring events into the log, and let them be taken in."""
        await record_events(self.log, *events, partitions=PARTITIONS)
        await self.work()

    async def send(self, again: Redelivery) -> None:
        """Send a delivery again, and let it be taken in."""
        await self.log.append_all(again.appends)
        await self.work()

    async def effects(self) -> list[bytes]:
        """Every decision and every copy: what somebody would notice."""
        decided = [record.value or b"" for record in await all_records(self.log, DECISIONS)]
        commanded = [record.value or b"" for record in await all_records(self.log, COMMANDS)]
        return [*decided, *(value for value in commanded if isinstance(decode(value).data, CopyImage))]

    async def times(self, event_id: str) -> int:
        return [event.id for event in await events_in(self.log)].count(event_id)


@pytest.fixture
async def scene() -> Any:
    made = Scene()
    await made.tell(proposed(TO_QA, JFROG))
    yield made
    await made.close()


async def test_a_record_of_a_producer_goes_the_same_way_again_and_nothing_is_decided(scene: Scene) -> None:
    place = await scene.produce(structured(), "cloudevents")
    before = await scene.effects()
    assert len(before) > 1
    again = await inbound_again(scene.log, place.partition, place.offset, LATER)
    await scene.send(again)
    first, second = await all_records(scene.log, INBOUND)
    assert (first.partition, first.key, first.value, first.headers) == (
        second.partition, second.key, second.value, second.headers,
    )  # fmt: skip
    assert await scene.times(again.events[0].id) == 2
    assert await scene.effects() == before
    await check_all(scene.log)


async def test_all_parts_of_a_delivery_are_sent_together(scene: Scene) -> None:
    events = [distribution_event(id=str(number), target__tag=f"1.{number}") for number in range(3)]
    place = await scene.produce(distribution(*events), "distribution")
    before = await scene.effects()
    again = await inbound_again(scene.log, place.partition, place.offset, LATER)
    await scene.send(again)
    assert [event.subject for event in again.events] == [f"local/dev/website:1.{number}" for number in range(3)]
    assert [await scene.times(event.id) for event in again.events] == [2, 2, 2]
    assert await scene.effects() == before


async def test_an_event_that_came_by_http_is_appended_again_as_it_is(scene: Scene) -> None:
    push = pushed("local/dev/app:1.0", "one")
    await scene.tell(push, pushed("local/dev/app:2.0", "one"))
    before = await scene.effects()
    await scene.send(await event_again(scene.log, push.id, LATER))
    found = [record.value for record in await all_records(scene.log, EVENTS)]
    assert found.count(encode(push)) == 2
    assert await scene.effects() == before


@pytest.mark.parametrize("more", [0, 1])
async def test_a_tag_that_may_have_forgotten_is_looked_at_instead(scene: Scene, more: int) -> None:
    push = pushed("local/dev/app:1.0", "old")
    since = limits.recent_event_count // 2 + more
    await scene.tell(push, *(pushed("local/dev/app:1.0", f"new {number}") for number in range(since)))
    # Of other tags it makes no difference how much they heard.
    await scene.tell(*(pushed("local/dev/app:2.0", f"new {number}") for number in range(50)))
    before = await scene.effects()
    again = await event_again(scene.log, push.id, LATER)
    await scene.send(again)
    assert await scene.effects() == before
    (append,) = again.appends
    if not more:
        assert (append.value, again.instead) == (encode(push), "")
        return
    assert again.instead == f"local/dev/app:1.0 had {since} events since"
    hint = decode(append.value)
    assert isinstance(hint.data, ImageHinted)
    assert (hint.source, hint.subject, hint.time) == (SOURCE, "local/dev/app:1.0", LATER)
    # The tag has the last image still: to be told of it again is nothing new.
    await scene.tell(pushed("local/dev/app:1.0", f"new {since - 1}", key="again"))
    (last,) = [record for record in await all_records(scene.log, DECISIONS) if b'"ignore"' in (record.value or b"")]
    assert decode(last.value or b"").subject == "local/dev/app:1.0"


async def test_the_first_time_counts_and_outcomes_count_as_events_of_their_target(scene: Scene) -> None:
    push = pushed("local/dev/app:1.0", "old")
    copies = [arrived("local/dev/app:1.0", f"brought {number}", hops=1) for number in range(9)]
    await scene.tell(push, *copies, push)
    assert (await event_again(scene.log, push.id, LATER)).instead == "local/dev/app:1.0 had 10 events since"


async def test_what_a_sender_does_not_name_is_looked_at_instead(scene: Scene) -> None:
    place = await scene.produce(fixture("jfrog", "pushed"), "jfrog")
    again = await inbound_again(scene.log, place.partition, place.offset, LATER)
    assert again.instead == "its sender does not name what it delivers"
    assert [decode(append.value).subject for append in again.appends] == ["local/docker-local/dev/website:1.0"]
    assert (await inbound_again(scene.log, place.partition, place.offset, LATER)).appends == again.appends


async def test_what_moves_no_tag_is_sent_as_it_is(scene: Scene) -> None:
    places = [
        await scene.produce(fixture("distribution", "delete-digest"), "distribution"),
        await scene.produce(fixture("dtr", "scan-completed"), "dtr"),
        await scene.produce(fixture("quay", "push"), "quay"),
    ]
    before = await scene.effects()
    for place in places:
        again = await inbound_again(scene.log, place.partition, place.offset, LATER)
        assert (again.instead, [append.topic for append in again.appends]) == ("", [INBOUND])
    assert await scene.effects() == before


async def test_an_event_is_found_by_its_own_id_and_not_by_those_that_it_names(scene: Scene) -> None:
    named = pushed("local/dev/app:1.0", "one")
    naming = pushed("local/dev/app:2.0", "two", actor=named.id)
    await scene.tell(naming, named)
    assert (await event_again(scene.log, named.id, LATER)).events == (named,)


async def test_what_is_not_there_or_was_not_delivered_is_refused_with_the_reason(scene: Scene) -> None:
    nothing = await scene.produce(fixture("distribution", "push-blob"), "distribution")
    unusable = await scene.produce(Delivery({}, b"{"), "distribution")
    await scene.tell(outcome := arrived("local/qa/app:1.0", "one", hops=1))
    with pytest.raises(MisuseError, match="tells of no image"):
        await inbound_again(scene.log, nothing.partition, nothing.offset, LATER)
    with pytest.raises(UnusableInputError, match="not JSON"):
        await inbound_again(scene.log, unusable.partition, unusable.offset, LATER)
    with pytest.raises(MisuseError, match="no such record"):
        await inbound_again(scene.log, unusable.partition, unusable.offset + 1, LATER)
    with pytest.raises(MisuseError, match=f"no partition {PARTITIONS}"):
        await inbound_again(scene.log, PARTITIONS, 0, LATER)
    with pytest.raises(MisuseError, match="no sender of webhooks"):
        await event_again(scene.log, outcome.id, LATER)
    with pytest.raises(MisuseError, match="has no event"):
        await event_again(scene.log, "0" * 64, LATER)
    scene.log.remove_before(INBOUND, unusable.partition, unusable.offset + 1)
    with pytest.raises(MisuseError, match="not kept any more"):
        await inbound_again(scene.log, unusable.partition, unusable.offset, LATER)
