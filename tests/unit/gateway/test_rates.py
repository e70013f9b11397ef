"""A sender that comes too often is asked to come later, and hurts nobody else (S24)."""

import hmac
from pathlib import Path

import pytest

from streams.gateway.rates import Rate
from streams.memory_log import MemoryLog
from tests.support.gateways import OPEN, app, calling, events_in
from tests.unit.dialects.deliveries import distribution, distribution_event
from towline import limits
from towline.hook_settings import HookSettings

BODY = distribution(distribution_event()).body


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_turns_come_back_with_time_up_to_a_burst() -> None:
    clock = Clock()
    rate = Rate(2, clock)
    burst = int(2 * limits.hook_burst_seconds)
    assert [rate.take() for _ in range(burst)] == [0] * burst
    assert rate.take() == 1
    clock.now += 0.5
    assert [rate.take(), rate.take()] == [0, 1]
    clock.now += 1_000_000
    assert [rate.take() for _ in range(burst + 1)] == [0] * burst + [1]


def test_a_slow_rate_says_how_long_to_wait() -> None:
    clock = Clock()
    rate = Rate(1 / 128, clock)
    assert [rate.take(), rate.take()] == [0, 128]
    clock.now += 127
    assert rate.take() == 1
    clock.now += 1
    assert rate.take() == 0


async def test_beyond_its_rate_a_sender_gets_429_and_others_do_not() -> None:
    clock, log = Clock(), MemoryLog()
    hooks = {"busy": OPEN.model_copy(update={"rate": 0.1}), "other": OPEN}
    async with calling(app(log, hooks=hooks, monotonic=clock)) as client:
        accepted, refused = [await client.post("/hooks/busy", content=BODY) for _ in range(2)]
        other = await client.post("/hooks/other", content=BODY)
        clock.now += int(refused.headers["retry-after"])
        later = await client.post("/hooks/busy", content=BODY)
    assert [accepted.status_code, refused.status_code, other.status_code, later.status_code] == [202, 429, 202, 202]
    assert refused.json() == {"error": {"reason": "more than 0.1 deliveries a second; send it again later"}}
    assert len(await events_in(log)) == 3


@pytest.mark.parametrize("way", ["token", "hmac", "path"])
async def test_a_stranger_does_not_use_up_the_senders_rate(tmp_path: Path, way: str) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef")
    given: object = f"file:{tmp_path / 'secret'}"
    hook = HookSettings.model_validate(
        {"registry": "local", "rate": 0.1, way: {"secret": given, "header": "x-s"} if way == "hmac" else given}
    )
    async with calling(app(MemoryLog(), hooks={"local": hook}, monotonic=Clock())) as client:
        for number in range(50):
            address = f"/hooks/local/{number}" if way == "path" else "/hooks/local"
            headers = {"authorization": f"Bearer {number}", "x-s": f"{number:064x}"}
            assert (await client.post(address, content=BODY, headers=headers)).status_code == 401
        good = hmac.digest(b"0123456789abcdef", BODY, "sha256").hex()
        address = "/hooks/local/0123456789abcdef" if way == "path" else "/hooks/local"
        headers = {"authorization": "Bearer 0123456789abcdef", "x-s": good}
        assert (await client.post(address, content=BODY, headers=headers)).status_code == 202


async def test_a_flood_at_unknown_hooks_touches_neither_log_nor_rate() -> None:
    log = MemoryLog()
    hooks = {"local": OPEN.model_copy(update={"rate": 0.1})}
    async with calling(app(log, hooks=hooks, monotonic=Clock())) as client:
        for number in range(100):
            assert (await client.post(f"/hooks/{number}", content=BODY)).status_code == 404
        assert (await client.post("/hooks/local", content=BODY)).status_code == 202
