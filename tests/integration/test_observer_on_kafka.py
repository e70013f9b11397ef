"""The observer as a process on a broker: it looks at a real registry, also after it was killed in the middle."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agents.outcomes import end_id
from schemas.canonical import content_id
from schemas.commands import InspectImage, PollRepository, ResolveTag
from schemas.envelope import Envelope
from schemas.events import ImageDeleted, ImageObserved, PollCompleted
from schemas.facts import ImageInspected, SignatureVerified
from schemas.patterns import SourcePattern
from schemas.policies import PolicySet
from schemas.references import Frozen, Repository
from streams.routing import command_append
from streams.topics import EVENTS
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import policy
from tests.support.distribution import distribution
from tests.support.hints import hinted, look_of
from tests.support.signing import Signer, payload_for, push_signatures
from tests.support.system import MOMENT, System, system
from tests.support.waiting import eventually
from towline.registry import Registries, push_image

pytestmark = [pytest.mark.kafka, pytest.mark.distribution, pytest.mark.asyncio(loop_scope="module")]

DEV = Repository.parse("local/dev/app")
KEY = Signer.make()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one(module_broker: BrokerUnderTest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    folder: Path = tmp_path_factory.mktemp("observer")
    (folder / "cosign.pub").write_bytes(KEY.pem)
    with distribution() as url:
        async with system(
            module_broker.bootstrap,
            folder,
            registries={"local": {"url": url}},
            keys={"release": {"file": str(folder / "cosign.pub")}},
        ) as built:
            yield built


def command(data: InspectImage | PollRepository | ResolveTag, seed: str) -> Envelope[Frozen]:
    return Envelope(id=content_id("test", seed), source="test", subject=seed, time=MOMENT, data=data)


@pytest.mark.parametrize("failpoint", ["", "observer.outcome_acked:kill@1", "observer.table_written:kill@1"])
async def test_what_an_observer_is_asked_is_told_whatever_it_dies_of(one: System, failpoint: str) -> None:
    async with Registries(one.settings.registries) as registries:
        client = registries("local")
        image = await push_image(client, DEV.name, "1.0", [failpoint.encode()])
        await push_signatures(client, DEV.name, image, KEY.sign(payload_for(image.digest)))
    look = command(InspectImage(event_id="0" * 64, repository=DEV, digest=image.digest), f"inspect {failpoint}")
    source = SourcePattern.parse("local/dev/*")
    ask = command(PollRepository(event_id="0" * 64, source=source, cause="interval"), f"poll {failpoint}")
    await one.log.append_all([command_append(look), command_append(ask)])
    worker = await one.start("observe", failpoints=failpoint)
    if failpoint:
        await worker.ended()
        worker = await one.start("observe")

    async def all_ended() -> bool:
        known = {item.envelope.id for item in await one.records(EVENTS)}
        return {end_id(look.id), end_id(ask.id)} <= known

    await eventually(all_ended, seconds=60, what=f"both ends: {worker.said()}")
    assert await worker.terminate() == 0
    data = [item.envelope.data for item in await one.records(EVENTS)]
    assert SignatureVerified(repository=DEV, digest=image.digest, key="release") in data
    assert any(isinstance(item, ImageInspected) and item.digest == image.digest for item in data)
    assert any(isinstance(item, ImageObserved) and item.digest == image.digest for item in data)
    assert PollCompleted(command_id=ask.id, source=source, repository=None, tags=1) in data


@pytest.mark.parametrize("failpoint", ["", "observer.outcome_acked:kill@1", "observer.table_written:kill@1"])
async def test_what_hints_tell_of_is_looked_at_whatever_the_observer_dies_of(one: System, failpoint: str) -> None:
    """From the hint on: the evaluator gives the looks, and each has one end, which is not told anew after a death."""
    tag = f"hinted-{failpoint.partition('.')[2].partition(':')[0] or 'alive'}"
    async with Registries(one.settings.registries) as registries:
        image = await push_image(registries("local"), DEV.name, tag, [failpoint.encode()])
    evaluator = await one.start("evaluate")
    await one.apply(PolicySet(policies=(policy("to-qa", str(DEV), "local/qa/app", initial_evaluation=False),)))
    hints = [hinted(f"{DEV}:{name}", actor="ann", key=failpoint) for name in (tag, f"{tag}-gone")]
    await one.push(hints)
    there, gone = (look_of(hint) for hint in hints)
    worker = await one.start("observe", failpoints=failpoint)
    if failpoint:
        await worker.ended()
        worker = await one.start("observe")

    async def all_ended() -> bool:
        known = {item.envelope.id for item in await one.records(EVENTS)}
        return {end_id(there), end_id(gone)} <= known

    await eventually(all_ended, seconds=60, what=f"both ends: {worker.said()}")
    assert await worker.terminate() == 0
    ends = [item.envelope for item in await one.records(EVENTS) if item.envelope.id in {end_id(there), end_id(gone)}]
    assert len(ends) == 2, "no end is told twice"
    assert {end.id: end.data for end in ends} == {
        end_id(there): ImageObserved(
            repository=DEV,
            tag=tag,
            digest=image.digest,
            media_type=image.media_type,
            size=image.size,
            command_id=there,
            cause="hint",
            actor="ann",
        ),
        end_id(gone): ImageDeleted(repository=DEV, tag=f"{tag}-gone", command_id=gone),
    }
    await one.decided([end for end in ends if end.id == end_id(there)])
    (decided,) = [item.data for item in await one.decisions() if item.data.event_id == end_id(there)]
    assert (decided.verdict, decided.digest, decided.pushed_by) == ("promote", image.digest, "ann")
    assert await evaluator.terminate() == 0
