"""What is known of a copy while it runs: what there is to copy, and how much of it went out."""

import asyncio

from schemas.events import TransferCompleted
from tests.support.faults import Hold
from tests.support.images import push_referrer
from tests.support.pairs import Pair
from tests.unit.agents.harness import until
from tests.unit.registry.copying import WRITE
from towline.registry import CopyProgress, carry_out
from towline.registry.progress import Extent

LAYER = b"a layer of some size" * 1000


async def test_bytes_count_as_they_go_out_and_what_is_there_already_counts_as_spared(pair: Pair) -> None:
    image = await pair.push(LAYER, b"another")
    config, *layers = (await pair.source_client.get_manifest("dev/app", image.digest)).blobs
    await carry_out("a" * 64, pair.command(image, "target/qa/app:0.9"), pair.engine(), attempts=pair.attempts)
    newer = await pair.push(LAYER, b"yet another")
    engine, progress, hold = pair.engine(), CopyProgress(), Hold()
    pair.target_faults.on("PUT", "blobs/uploads", hold, times=10)
    command = pair.command(newer)
    copy = asyncio.create_task(carry_out("b" * 64, command, engine, attempts=pair.attempts, progress=progress))
    await hold.reached.wait()
    blobs = (await pair.source_client.get_manifest("dev/app", newer.digest)).blobs
    missing = [blob for blob in blobs if blob not in {config, *layers}]
    await until(lambda: progress.blobs.bytes_sent == sum(blob.size for blob in missing), "the bytes of the new blobs")
    assert progress.blobs.bytes_copied == 0
    assert progress.extent == Extent(manifests=1, blobs=len(blobs), bytes=sum(blob.size for blob in blobs))
    hold.release.set()
    outcome = await copy
    assert isinstance(outcome, TransferCompleted)
    assert outcome.bytes_copied == progress.blobs.bytes_copied == progress.blobs.bytes_sent
    assert progress.extent.bytes == progress.blobs.bytes_copied + progress.blobs.bytes_spared


async def test_what_there_is_to_copy_grows_with_what_belongs_to_the_image(pair: Pair) -> None:
    image = await pair.push(LAYER)
    alone = CopyProgress()
    command = pair.command(image, "target/qa/app:alone", referrers=False)
    await carry_out("a" * 64, command, pair.engine(), attempts=pair.attempts, progress=alone)
    await push_referrer(pair.source_client, "dev/app", image, "a report")
    told: list[Extent | None] = []
    whole = CopyProgress(on_begin=lambda: told.append(whole.extent))
    await carry_out("b" * 64, pair.command(image), pair.engine(), attempts=pair.attempts, progress=whole)
    assert alone.extent is not None
    assert whole.extent is not None
    assert told == [alone.extent, whole.extent]
    assert whole.extent.manifests == 2
    assert whole.extent.bytes > alone.extent.bytes


async def test_a_copy_with_nothing_to_do_begins_nothing(pair: Pair) -> None:
    image = await pair.push(LAYER)
    await carry_out("a" * 64, pair.command(image), pair.engine(), attempts=pair.attempts)
    writes, progress = pair.target_faults.count("PUT", WRITE), CopyProgress()
    await carry_out("b" * 64, pair.command(image), pair.engine(), attempts=pair.attempts, progress=progress)
    assert progress.extent is None
    assert pair.target_faults.count("PUT", WRITE) == writes
