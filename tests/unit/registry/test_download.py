"""Blobs over connections that break or dribble (R04, R05; "resume with Range")."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from schemas.descriptors import Descriptor
from tests.support.faults import Alter, Answer, Answered, Break
from tests.support.images import assert_complete
from tests.support.pairs import Pair
from tests.unit.registry.copying import BLOB, UPLOAD, completed, failed
from towline import limits
from towline.registry.blobs import digest_of
from towline.registry.download import steady
from towline.registry.errors import UnreachableError
from towline.registry.images import push_blob

LAYER = bytes(range(256)) * 400
DIGEST = digest_of(LAYER)


def ranges(pair: Pair) -> list[str | None]:
    return [it.headers.get("range") for it in pair.source_faults.matching("GET", DIGEST)]


async def test_what_a_broken_connection_did_not_bring_is_read_over_another_one(pair: Pair) -> None:
    image = await pair.push(LAYER)
    pair.source_faults.on("GET", DIGEST, Break(after_bytes=1000), times=2)
    await completed(pair, image)
    assert ranges(pair) == [None, "bytes=1000-", "bytes=2000-"]
    assert pair.pauses == []
    assert pair.target_faults.count("DELETE", UPLOAD) == 0


async def test_a_source_without_ranges_is_read_again_up_to_where_it_broke(pair: Pair) -> None:
    image = await pair.push(LAYER)
    pair.source_faults.on("GET", DIGEST, Break(after_bytes=1000))
    whole = Answer(200, {"docker-content-digest": DIGEST}, LAYER)
    pair.source_faults.on("GET", DIGEST, whole, nth=1)
    await completed(pair, image)
    assert ranges(pair) == [None, "bytes=1000-"]


def shifted(answered: Answered) -> Answered:
    return replace(answered, headers={**answered.headers, "content-range": f"bytes 0-9/{len(LAYER)}"})


def other_bytes(answered: Answered) -> Answered:
    return replace(answered, body=b"?" * len(answered.body))


@pytest.mark.parametrize(("change", "cause"), [(shifted, "protocol"), (other_bytes, "digest-mismatch")])
async def test_the_rest_is_trusted_no_more_than_the_beginning(pair: Pair, change: object, cause: str) -> None:
    image = await pair.push(LAYER)
    for attempt in range(limits.transfer_attempt_count):
        pair.source_faults.on("GET", DIGEST, Break(after_bytes=1000), nth=1 + attempt)
        pair.source_faults.on("GET", DIGEST, Alter(change), nth=1)  # type: ignore[arg-type]
    assert failed(await pair.carry_out(image)).cause == cause
    assert DIGEST not in pair.target.store.blobs


async def test_a_connection_that_brings_nothing_new_ends_the_attempt(pair: Pair) -> None:
    image = await pair.push(LAYER)
    pair.source_faults.on("GET", DIGEST, Break(after_bytes=0), times=1000)
    assert failed(await pair.carry_out(image)).cause == "unreachable"
    assert ranges(pair) == [None] * limits.transfer_attempt_count


async def test_connections_that_all_break_are_bounded(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "blob_resume_count", 3)
    blob = await push_blob(pair.source_client, "dev/app", LAYER, "text/plain")
    pair.source_faults.on("GET", BLOB, Break(after_bytes=10), times=1000)
    with pytest.raises(UnreachableError):
        await read(pair, blob)
    assert len(ranges(pair)) == 4


async def read(pair: Pair, blob: Descriptor) -> bytes:
    async with pair.source_client.open_blob("dev/app", blob) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def dribble(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def count(chunks: AsyncIterator[bytes]) -> int:
    return len([chunk async for chunk in chunks])


class Clock:
    """Every look at it takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


async def test_a_source_that_dribbles_is_given_up() -> None:
    with pytest.raises(UnreachableError, match=f"{limits.slow_window_seconds:.0f} bytes in .* too slow") as caught:
        await count(steady(dribble(1000, 1), "read", Clock()))
    assert caught.value.retryable


async def test_a_source_that_keeps_the_least_rate_is_read_to_its_end() -> None:
    size = limits.slow_window_bytes // int(limits.slow_window_seconds)
    assert await count(steady(dribble(100, size), "read", Clock())) == 100


async def test_a_slow_target_is_not_held_against_the_source() -> None:
    clock = Clock()
    seen = 0
    async for _ in steady(dribble(50, 1200), "read", clock):
        clock.now += 1000.0
        seen += 1
    assert seen == 50


async def test_a_dribbling_blob_fails_its_transfer_and_leaves_no_session(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await pair.push(LAYER)
    monkeypatch.setattr(limits, "slow_window_seconds", 0.0)
    monkeypatch.setattr(limits, "slow_window_bytes", 10**9)
    assert failed(await pair.carry_out(image)).cause == "unreachable"
    monkeypatch.undo()
    await completed(pair, image)
    await assert_complete(pair.target_client, "qa/app", image.digest)
