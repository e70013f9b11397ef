"""A body is read within bounds, and refused as early as can be (E05, E07, S11, S12, S24)."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import pytest

from streams.memory_log import MemoryLog
from tests.support.gateways import app, calling, events_in
from tests.unit.dialects.deliveries import distribution_event
from towline import limits

MAX = limits.hook_body_bytes


def padded(size: int) -> bytes:
    empty = json.dumps({"events": [distribution_event()], "padding": ""}).encode()
    return json.dumps({"events": [distribution_event()], "padding": "x" * (size - len(empty))}).encode()


@pytest.mark.parametrize(("size", "status"), [(MAX - 1, 202), (MAX, 202), (MAX + 1, 413)])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
async def test_size_is_bounded_to_the_byte(size: int, status: int, declared: bool) -> None:
    body = padded(size)
    assert len(body) == size

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 65536):
            yield body[start : start + 65536]

    log = MemoryLog()
    async with calling(app(log)) as client:
        answer = await client.post("/hooks/local", content=body if declared else chunks())
    assert answer.status_code == status
    assert len(await events_in(log)) == (1 if status == 202 else 0)


async def test_a_declared_size_beyond_the_bound_is_refused_before_reading() -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    async with calling(app(MemoryLog())) as client:
        answer = await client.post("/hooks/local", content=body(), headers={"content-length": str(100 * MAX)})
    assert answer.status_code == 413
    assert answer.json() == {"error": {"reason": f"at most {MAX} bytes are taken"}}


async def test_a_body_without_end_is_cut_off() -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 65536
            yield b" " * 65536

    async with calling(app(MemoryLog())) as client:
        answer = await client.post("/hooks/local", content=body())
    assert answer.status_code == 413
    assert sent <= MAX + 2 * 65536


async def test_a_lie_about_the_size_does_not_help() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b" " * (MAX + 1)

    async with calling(app(MemoryLog())) as client:
        answer = await client.post("/hooks/local", content=body(), headers={"content-length": "5"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("-1", 400),
        ("5x", 400),
        ("", 400),
        ("\u00b2".encode("latin-1"), 400),
        ("9" * 5000, 413),
        ("0" * 5000 + "9", 400),
    ],
)
async def test_a_strange_size_is_refused(length: str | bytes, status: int) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{"

    headers = [(b"content-length", length if isinstance(length, bytes) else length.encode())]
    async with calling(app(MemoryLog())) as client:
        answer = await client.post("/hooks/local", content=body(), headers=headers)
    assert answer.status_code == status


async def test_a_body_that_dribbles_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "hook_body_timeout_seconds", 0.05)

    async def body() -> AsyncIterator[bytes]:
        yield b'{"events":'
        await asyncio.Event().wait()

    async with calling(app(MemoryLog())) as client, asyncio.timeout(30):
        answer = await client.post("/hooks/local", content=body())
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"
    assert answer.json() == {"error": {"reason": "the body was not complete within 0.05 seconds"}}


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "identity, gzip", "GZIP", "x"])
async def test_encoded_bodies_are_refused_and_never_decoded(encoding: str) -> None:
    bomb = gzip.compress(b" " * 10 * MAX)
    async with calling(app(MemoryLog())) as client:
        answer = await client.post("/hooks/local", content=bomb, headers={"content-encoding": encoding})
    assert answer.status_code == 415


async def test_identity_is_no_encoding() -> None:
    async with calling(app(MemoryLog())) as client:
        answer = await client.post("/hooks/local", content=padded(1000), headers={"content-encoding": "identity"})
    assert answer.status_code == 202


BOMBS = {
    "empty": b"",
    "cut": b"{",
    "null": b"null",
    "NUL": b"\x00",
    "BOM": b"\xef\xbb\xbf{}",
    "twice": b'{"events": [], "events": []}',
    "NaN": b'{"events": [NaN]}',
    "surrogate": b'{"events": [{"id": "\\ud800"}]}',
    "depth": b'{"events": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "integer": b'{"events": [' + b"9" * 100_000 + b"]}",
    "float": b'{"events": [1e999]}',
    "width": b'{"events": [' + b"{}," * 300_000 + b"{}]}",
    "quotes": b'"' * MAX,
    "open": b'{"' + b'":{"' * 200_000,
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS.keys())
async def test_a_bomb_is_a_400_and_leaves_nothing(body: bytes) -> None:
    log = MemoryLog()
    async with calling(app(log)) as client:
        answer = await client.post("/hooks/local", content=body)
    assert answer.status_code == 400
    assert 0 < len(answer.json()["error"]["reason"]) < 1000
    assert await events_in(log) == []
