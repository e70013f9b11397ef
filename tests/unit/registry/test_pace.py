"""A registry is used within our limits and its own (R02; "limits shared by all transfers of a worker")."""

import asyncio
import math
from collections.abc import Mapping

import httpx
import pytest

from schemas.events import TransferCompleted
from tests.support.faults import Answer, Hold
from tests.support.images import assert_complete
from tests.support.pairs import Pair, pair_of_registries
from tests.support.waiting import eventually
from tests.unit.registry.copying import BLOB, MANIFEST, completed, errors, failed
from towline import limits
from towline.registry.pace import Pace
from towline.settings import RegistryLimits


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def pace(self, **allowed: float) -> Pace:
        limits_of_it = RegistryLimits.model_validate(allowed)
        return Pace(limits_of_it, clock=lambda: self.now, sleep=self.sleep)


async def test_requests_are_spread_over_time() -> None:
    time = Time()
    pace = time.pace(requests_per_second=10)
    for _ in range(100):
        await pace.turn("GET")
    assert time.now == pytest.approx(1010.0, abs=1.01)


async def test_what_was_not_used_long_ago_is_not_saved_up() -> None:
    time = Time()
    pace = time.pace(requests_per_second=10)
    time.now += 3600
    started = time.now
    for _ in range(100):
        await pace.turn("GET")
    assert time.now - started >= 8.9


async def test_bytes_are_spread_over_time() -> None:
    time = Time()
    pace = time.pace(bytes_per_second=1_000_000)
    for _ in range(50):
        await pace.moved(200_000)
    assert time.now == pytest.approx(1010.0, abs=1.01)


async def test_without_limits_nobody_waits() -> None:
    time = Time()
    pace = time.pace()
    for _ in range(1000):
        await pace.turn("GET")
        await pace.moved(10**9)
    assert time.now == 1000.0


def answer(status: int, headers: Mapping[str, str]) -> httpx.Response:
    return httpx.Response(status, headers=headers)


@pytest.mark.parametrize(
    ("status", "headers", "method", "pause"),
    [
        (429, {"retry-after": "7"}, "GET", 7.0),
        (429, {"retry-after": "7"}, "HEAD", 7.0),
        (429, {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, "GET", 60.0),
        (429, {}, "GET", 0.0),
        (503, {"retry-after": "7"}, "GET", 0.0),
        (200, {"ratelimit-remaining": "0;w=21600"}, "GET", 60.0),
        (200, {"ratelimit-remaining": "0;w=21600"}, "HEAD", 0.0),
        (200, {"ratelimit-remaining": "0", "ratelimit-reset": "5"}, "GET", 5.0),
        (200, {"ratelimit-remaining": "1;w=21600"}, "GET", 0.0),
        (200, {"ratelimit-remaining": "many"}, "GET", 0.0),
    ],
)
async def test_what_a_registry_asks_of_one_request_holds_for_the_next(
    status: int, headers: Mapping[str, str], method: str, pause: float
) -> None:
    time = Time()
    pace = time.pace()
    pace.learn(answer(status, headers))
    await pace.turn(method)
    assert time.now - 1000.0 == pause


async def test_all_transfers_wait_for_a_registry_that_asked_one_of_them_to(pair: Pair) -> None:
    image = await pair.push()
    pair.source_faults.on("GET", MANIFEST, Answer(429, {"retry-after": "33"}, errors("TOOMANYREQUESTS")))
    await completed(pair, image)
    assert pair.pauses == [33.0]
    await pair.source_client.resolve("dev/app", "1.0")
    assert math.ceil(pair.waits[-1]) == 33


async def test_patience_is_no_failed_attempt(pair: Pair) -> None:
    image = await pair.push()
    busy = Answer(429, {"retry-after": "1"}, errors("TOOMANYREQUESTS"))
    pair.source_faults.on("GET", MANIFEST, busy, times=3 * limits.transfer_attempt_count)
    await completed(pair, image)


async def test_patience_ends(pair: Pair) -> None:
    image = await pair.push()
    pair.source_faults.on("GET", MANIFEST, Answer(429, {}, errors("TOOMANYREQUESTS")), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable) == ("rate-limited", True)
    assert len(pair.pauses) == limits.rate_limit_wait_count


async def test_no_more_requests_are_under_way_than_allowed_over_all_transfers() -> None:
    async with pair_of_registries(concurrent_requests=2) as pair:
        images = [await pair.push(bytes([n]) * 10, tag=f"{n}.0") for n in range(4)]
        held = Hold()
        pair.source_faults.on("GET", BLOB, held, times=1000)
        engine = pair.engine()
        copies = asyncio.gather(
            *(engine.copy(pair.command(image, f"target/qa/app:{n}", referrers=False)) for n, image in enumerate(images))
        )

        async def is_full() -> bool:
            return pair.source_faults.count("GET", BLOB) == 2

        await eventually(is_full, seconds=10, what="two reads under way")
        assert not copies.done()
        held.release.set()
        await copies
        for image in images:
            await assert_complete(pair.target_client, "qa/app", image.digest)
        pair.assert_clean()


async def test_one_request_at_a_time_is_enough_also_when_blobs_go_from_a_registry_to_itself() -> None:
    async with pair_of_registries(concurrent_requests=1) as pair:
        image = await pair.push()
        pair.source_faults.on("POST", "mount=", Answer(404), times=1000)
        async with asyncio.timeout(30):
            outcome = await pair.carry_out(image, "source/qa/app:1.0")
        assert isinstance(outcome, TransferCompleted)
        assert outcome.blobs_copied == 3


async def test_the_bandwidth_of_both_registries_is_kept() -> None:
    async with pair_of_registries(bytes_per_second=256 * 1024) as pair:
        image = await pair.push(b"x" * 600_000)
        pair.waits.clear()
        await completed(pair, image)
        # The upload of the same bytes waits as well; both are a good second behind by then.
        assert len([wait for wait in pair.waits if wait > 0.5]) >= 2
