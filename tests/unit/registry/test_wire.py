"""Registries that break HTTP itself, or are not reached at all: a typed failure that may pass, and no wrong bytes.

Fault catalogue R03, R04, R22; security catalogue S12, S13, S23.
"""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.descriptors import OCI_MANIFEST, Descriptor
from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.certificates import make_server_certificate
from towline.registry import Registries, RegistryClient
from towline.registry import exchange as sending
from towline.registry.blobs import digest_of
from towline.registry.errors import RegistryError, UnreachableError
from towline.settings import RegistrySettings

CONTENT = b'{"schemaVersion": 2, "layers": []}'
DIGEST, OTHER = digest_of(CONTENT), digest_of(b"other")
BLOB = Descriptor(media_type="a/b", digest=digest_of(b"layer"), size=5)


@dataclass
class Speaker:
    """A server that answers each request with the next text, verbatim, and the last one again and again.

    An empty text ends the connection without an answer, None keeps it open without one.
    """

    answers: list[bytes | None]
    closes: bool = False
    requests: list[bytes] = field(default_factory=list)
    talks: set[asyncio.Task[None]] = field(default_factory=set)

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.add(asyncio.create_task(self._talk(reader, writer)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    await reader.read()
                writer.write(answer or b"")
                await writer.drain()
                if self.closes or not answer:
                    break
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@asynccontextmanager
async def client_of(
    speaker: Speaker, tls: ssl.SSLContext | None = None, *, scheme: str = "", **members: Any
) -> AsyncIterator[RegistryClient]:
    server = await asyncio.start_server(speaker, "127.0.0.1", 0, ssl=tls)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    url = f"{scheme or ('https' if tls else 'http')}://{host}"
    settings = RegistrySettings.model_validate({"url": url, **members})
    try:
        async with asyncio.timeout(20), Registries({"one": settings}) as registries:
            yield registries("one")
    finally:
        server.close()
        await server.wait_closed()
        if speaker.talks:
            await asyncio.wait(speaker.talks, timeout=10)


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {OCI_MANIFEST}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def found(digest: str) -> bytes:
    return answer(b"", f"docker-content-digest: {digest}", f"content-length: {len(CONTENT)}")


def whole(body: bytes, *headers: str) -> bytes:
    return answer(body, f"content-length: {len(body)}", *headers)


async def read(client: RegistryClient) -> bytes:
    async with client.open_blob("team/app", BLOB) as chunks:
        return b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize("extra", [found(OTHER), b"!", b"HTTP/1.1 200", CONTENT])
async def test_what_follows_an_answer_unasked_is_not_taken_for_the_next_answer(extra: bytes) -> None:
    said = []
    async with client_of(Speaker([found(DIGEST) + extra, found(DIGEST)])) as client:
        for _ in range(3):
            with suppress(UnreachableError):
                said.append(await client.resolve("team/app", "1.0"))
    assert len(said) >= 2
    assert set(said) == {DIGEST}


async def test_an_interim_answer_is_not_taken_for_the_answer() -> None:
    async with client_of(Speaker([b"HTTP/1.1 100 Continue\r\n\r\n" + whole(CONTENT)])) as client:
        assert (await client.get_manifest("team/app", DIGEST)).content == CONTENT


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"NONSENSE\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        answer(b"", "content-length: -1"),
        answer(b"", "content-length: many"),
        answer(CONTENT, f"content-length: {len(CONTENT)}", "transfer-encoding: chunked"),
        answer(b"zz\r\n" + CONTENT, "transfer-encoding: chunked"),
        answer(b"-5\r\n" + CONTENT, "transfer-encoding: chunked"),
        answer(b"5\r\nlayerXX\r\n0\r\n\r\n", "transfer-encoding: chunked"),
        answer(b"fffffffffffffffffff\r\n" + CONTENT, "transfer-encoding: chunked"),
        answer(b"", "x: " + "y" * 1_000_000),
        answer(CONTENT[:-1], f"content-length: {len(CONTENT)}"),
        answer(b"5\r\nlay", "transfer-encoding: chunked"),
    ],
)
async def test_an_answer_that_is_no_http_fails_in_a_way_that_may_pass(broken: bytes) -> None:
    async with client_of(Speaker([broken], closes=True)) as client:
        for work in (client.get_manifest("team/app", DIGEST), read(client)):
            with pytest.raises(RegistryError) as caught:
                await work
            assert caught.value.retryable, caught.value


async def test_garbage_after_the_last_chunk_changes_nothing_of_what_was_read() -> None:
    garbled = answer(b"5\r\nlayer\r\n0\r\nno trailer\x00 at all\r\n\r\n", "transfer-encoding: chunked")
    async with client_of(Speaker([garbled, whole(b"layer")], closes=True)) as client:
        with suppress(UnreachableError):
            assert await read(client) == b"layer"
        assert await read(client) == b"layer"


async def test_a_compressed_manifest_is_not_what_was_asked_for_and_is_never_inflated() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    speaker = Speaker([whole(gzip.compress(CONTENT), "content-encoding: gzip"), whole(bomb, "content-encoding: gzip")])
    async with client_of(speaker) as client:
        for _ in range(2):
            with pytest.raises(RegistryError) as caught:
                await client.get_manifest("team/app", DIGEST)
            assert caught.value.cause == "digest-mismatch"
    assert all(b"accept-encoding: identity" in request.lower() for request in speaker.requests)
    assert all(b"expect:" not in request.lower() for request in speaker.requests)


async def test_a_registry_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = {"timeout": {"connect": 5.0, "read": 0.2, "write": 5.0, "pool": None}}
    monkeypatch.setattr(sending, "EXTENSIONS", impatient)
    for silent in (None, answer(b"", "content-length: 5")):
        async with client_of(Speaker([silent])) as client:
            with pytest.raises(UnreachableError) as caught:
                await read(client)
            assert caught.value.retryable


async def test_a_name_that_is_not_known_is_a_failure_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with Registries({"one": RegistrySettings(url="https://registry.invalid")}) as registries:
        with pytest.raises(UnreachableError) as caught:
            await registries("one").resolve("team/app", "1.0")
    assert caught.value.retryable


async def test_a_server_that_does_not_speak_tls_is_a_failure_that_may_pass() -> None:
    async with serving(LocalRegistry()) as url:
        settings = RegistrySettings(url=url.replace("http:", "https:"))
        async with Registries({"one": settings}) as registries:
            with pytest.raises(UnreachableError) as caught:
                await registries("one").resolve("team/app", "1.0")
    assert caught.value.retryable


async def test_a_connection_that_is_not_made_in_time_is_a_failure_that_may_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    impatient = {"timeout": {"connect": 0.2, "read": 5.0, "write": 5.0, "pool": None}}
    monkeypatch.setattr(sending, "EXTENSIONS", impatient)
    # Over TLS to a server that waits for the end of a request, so that no greeting is ever answered.
    async with client_of(Speaker([whole(CONTENT)]), scheme="https") as client:
        with pytest.raises(UnreachableError) as caught:
            await client.resolve("team/app", "1.0")
    assert caught.value.retryable


def presented(folder: Path, **members: Any) -> tuple[ssl.SSLContext, Path]:
    certificate = make_server_certificate(folder, **members)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    return context, certificate.ca_file


async def test_a_certificate_of_the_named_authority_is_believed(tmp_path: Path) -> None:
    tls, ca_file = presented(tmp_path)
    async with client_of(Speaker([found(DIGEST)]), tls, ca_file=ca_file) as client:
        assert await client.resolve("team/app", "1.0") == DIGEST


@pytest.mark.parametrize(
    ("certificate", "trusted"),
    [
        ({}, False),
        ({"address": "127.0.0.2"}, True),
        ({"valid_for": timedelta(minutes=-1)}, True),
    ],
    ids=["of nobody we know", "of another host", "expired"],
)
async def test_a_certificate_that_proves_nothing_ends_the_connection_before_a_request(
    tmp_path: Path, certificate: dict[str, Any], trusted: bool
) -> None:
    tls, ca_file = presented(tmp_path, **certificate)
    speaker = Speaker([found(DIGEST)])
    async with client_of(speaker, tls, ca_file=ca_file if trusted else None) as client:
        with pytest.raises(UnreachableError) as caught:
            await client.resolve("team/app", "1.0")
    assert speaker.requests == []
    assert caught.value.retryable
