"""Over real connections: senders that leave, dribble or flood do not hurt the others (S24)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from streams.memory_log import MemoryLog
from streams.serving import serving
from tests.support.gateways import app, events_in
from tests.unit.dialects.deliveries import distribution, distribution_event
from towline import limits

BODY = distribution(distribution_event()).body


def request(length: int | str, *headers: str) -> bytes:
    lines = ["POST /hooks/local HTTP/1.1", "Host: gateway", f"Content-Length: {length}", *headers, "", ""]
    return "\r\n".join(lines).encode()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def status_of(reader: asyncio.StreamReader) -> int:
    return int((await reader.readline()).split()[1])


async def still_serves(url: str) -> bool:
    async with connected(url) as (reader, writer):
        writer.write(request(len(BODY), "Connection: close") + BODY)
        return await status_of(reader) == 202


async def test_a_sender_that_leaves_in_the_middle_leaves_nothing() -> None:
    log = MemoryLog()
    async with serving(app(log)) as url, asyncio.timeout(60):
        async with connected(url) as (_, writer):
            writer.write(request(len(BODY)) + BODY[:20])
            await writer.drain()
        assert await still_serves(url)
    assert len(await events_in(log)) == 1


async def test_a_dribbling_sender_is_cut_off_and_its_connection_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "hook_body_timeout_seconds", 0.2)
    async with serving(app(MemoryLog())) as url, asyncio.timeout(60), connected(url) as (reader, writer):
        writer.write(request(len(BODY)) + BODY[:20])
        assert await status_of(reader) == 408
        await reader.read()
        assert reader.at_eof()


async def test_a_large_body_is_refused_before_it_is_sent() -> None:
    async with serving(app(MemoryLog())) as url, asyncio.timeout(60), connected(url) as (reader, writer):
        writer.write(request(100 * limits.hook_body_bytes))
        assert await status_of(reader) == 413


async def test_a_hundred_stalled_senders_do_not_keep_others_out() -> None:
    async with serving(app(MemoryLog())) as url, asyncio.timeout(60):
        stalled = [connected(url) for _ in range(100)]
        writers = [(await each.__aenter__())[1] for each in stalled]
        try:
            for writer in writers:
                writer.write(request(len(BODY)) + BODY[:20])
                await writer.drain()
            assert await still_serves(url)
        finally:
            for each in stalled:
                await each.__aexit__(None, None, None)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00" * 100,
        b"GET\r\n\r\n",
        b"POST /hooks/local HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /hooks/local HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}{}{}",
        b"POST /hooks/local HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        b"POST /hooks/local HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1024 * 1024 + b"\r\n\r\n",
    ],
    ids=["zeros", "no target", "negative length", "two lengths", "bad chunk", "giant header"],
)
async def test_what_is_no_http_is_refused_and_hurts_nobody(raw: bytes) -> None:
    log = MemoryLog()
    async with serving(app(log)) as url, asyncio.timeout(60):
        async with connected(url) as (reader, writer):
            with suppress(ConnectionError):
                writer.write(raw)
                await writer.drain()
                writer.write_eof()
                assert (await reader.readline()).split()[1:2] in ([b"400"], [b"411"], [b"431"], [])
        assert await still_serves(url)
    assert len(await events_in(log)) == 1
