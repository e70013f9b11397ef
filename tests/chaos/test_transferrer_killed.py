"""W02: SIGKILL of the transferrer at each step. The target tag is old or right, and each command ends once by id."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.commands import CopyImage
from schemas.descriptors import Descriptor
from schemas.envelope import Envelope
from schemas.events import ImagePushed
from schemas.outcomes import Outcome
from schemas.policies import PolicySet
from schemas.references import Repository
from streams.topics import COMMANDS, EVENTS
from tests.chaos.test_evaluator_killed import SIGKILLED
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import policy
from tests.support.distribution import distribution
from tests.support.images import assert_complete, push_index, push_referrer
from tests.support.signing import Signer
from tests.support.system import System, pushed_image, system
from tests.support.waiting import eventually
from towline.failpoints import SITES
from towline.registry import Registries, push_image
from towline.registry.cosign import find_signatures
from towline.registry.errors import NotFoundError, ServerError
from towline.registry.signatures import is_signed_by, load_key

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.distribution,
    pytest.mark.chaos,
    pytest.mark.asyncio(loop_scope="module"),
]

STEPS = sorted(site for site in SITES if site.startswith(("transferrer.", "transfer.")))
DEV = Repository.parse("source/dev/app")
POLICIES = PolicySet(policies=(policy("app-to-target", str(DEV), "target/qa/app"),))
TAG = "current"
SIGNER = Signer.make()
#: About fifteen seconds: joining the group and recovering take less.
LOOKS_BEFORE_NEXT = 300


@dataclass
class Stage:
    one: System
    registries: Registries

    async def target_digest(self) -> str | None:
        for _ in range(100):
            try:
                return await self.registries("target").resolve("qa/app", TAG)
            except NotFoundError:
                return None
            except ServerError:
                # distribution answers 500 for the instant in which it writes the file of a tag.
                await asyncio.sleep(0.05)
        raise AssertionError("the target registry does not answer")

    async def attested(self, digest: str) -> bool:
        """Tell whether one statement about a digest is at the target, signed by our key; never two."""
        found = await find_signatures(self.registries("target"), "qa/app", digest)
        return len(found) == 1 and is_signed_by(load_key("ours", SIGNER.pem), found[0])

    async def outcomes(self) -> list[Outcome]:
        return [
            item.envelope.data for item in await self.one.records(EVENTS) if isinstance(item.envelope.data, Outcome)
        ]


@pytest.fixture(scope="module")
def two_registries() -> Iterator[dict[str, dict[str, str]]]:
    with distribution() as source, distribution() as target:
        yield {"source": {"url": source}, "target": {"url": target}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    module_broker: BrokerUnderTest,
    two_registries: dict[str, dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("transferrer")
    (folder / "attest.pem").write_bytes(SIGNER.private_pem)
    attestation = {"key": f"file:{folder / 'attest.pem'}", "registries": ["target"]}
    async with (
        system(module_broker.bootstrap, folder, registries=two_registries, attestation=attestation) as one,
        Registries(one.settings.registries) as registries,
    ):
        await one.start("evaluate")
        await one.apply(POLICIES)
        yield Stage(one, registries)


@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_at_any_step_leaves_the_target_tag_old_or_right(stage: Stage, step: str) -> None:
    client = stage.registries("source")
    platforms = [
        await push_image(client, DEV.name, f"{step}-{platform}", [b"base", f"{step} {platform}".encode()])
        for platform in ("amd64", "arm64")
    ]
    index = await push_index(client, DEV.name, TAG, platforms)
    if step == "transfer.referrers_copied":
        # Only an image with something that belongs to it comes by here.
        signature = f"{index.digest.replace(':', '-')}.sig"
        await push_referrer(client, DEV.name, index, "a signature", tag=signature)
    before = await stage.target_digest()
    doomed = await stage.one.start("transfer", name=step, failpoints=f"{step}:kill@{hit_of(step)}")
    ended = asyncio.create_task(doomed.ended())
    await stage.one.push([arrival(index, step)])
    for look in count(1):
        assert await stage.target_digest() in {before, index.digest}
        await asyncio.wait([ended], timeout=0.05)
        if ended.done():
            break
        if step == "transferrer.fetched" and look % LOOKS_BEFORE_NEXT == 0:
            # What Faust lost during its recovery was taken from the log, and never came by here: the next one does.
            await stage.one.push([arrival(index, f"{step} {look}", tag=f"next-{look}")])
    assert ended.result() == SIGKILLED
    assert await stage.target_digest() in {before, index.digest}
    await stage.one.start("transfer", name=step)
    await eventually(lambda: arrived(stage, index), seconds=60, what=f"{index.digest} at the target after {step}")
    await assert_complete(stage.registries("target"), "qa/app", index.digest)
    assert await stage.attested(index.digest)
    await eventually(lambda: each_command_ended_once(stage), seconds=60, what="an outcome for each command")
    await stage.one.running.pop().kill()


def hit_of(step: str) -> int:
    """Some sites are passed several times on the way: the second blob, for example."""
    return 2 if step == "transfer.blob_chunk" else 1


def arrival(image: Descriptor, seed: str, *, tag: str = TAG) -> Envelope[ImagePushed]:
    data = ImagePushed(repository=DEV, tag=tag, digest=image.digest)
    return pushed_image(data, f"{seed} {image.digest}")


async def arrived(stage: Stage, index: Descriptor) -> bool:
    return await stage.target_digest() == index.digest


async def each_command_ended_once(stage: Stage) -> bool:
    commands = {
        item.envelope.id for item in await stage.one.records(COMMANDS) if isinstance(item.envelope.data, CopyImage)
    }
    by_command: dict[str, set[str]] = {}
    for outcome in await stage.outcomes():
        by_command.setdefault(outcome.command_id, set()).add(type(outcome).__name__)
    assert set(by_command) <= commands
    return set(by_command) == commands and all(len(kinds) == 1 for kinds in by_command.values())


async def test_a_command_that_the_consumer_loses_is_carried_out_although_no_other_follows(stage: Stage) -> None:
    """Kills make Faust lose the first command after a restart now and then; here every command is lost."""
    image = await push_image(stage.registries("source"), DEV.name, TAG, [b"lost on the way"])
    await stage.one.start("transfer", name="losing", failpoints="transferrer.fetched:drop@1+1000000")
    await stage.one.push([arrival(image, "lost")])
    await eventually(lambda: arrived(stage, image), seconds=60, what=f"{image.digest} at the target")
    await eventually(lambda: each_command_ended_once(stage), seconds=60, what="an outcome for each command")
    await stage.one.running.pop().kill()
