"""Sending once: only where the settings and the guard say, and nothing that is somebody else's (S01 to S05, S23)."""

import asyncio
import ssl
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest

from tests.support.certificates import ServerCertificate, make_server_certificate
from tests.support.egress import allowing
from tests.support.internet import Internet
from tests.support.receivers import Receiver, answering, receiving
from towline import limits
from towline.net.egress.guard import Egress
from towline.receivers.sending import Attempt, Receivers
from towline.settings import EgressSettings, ReceiverSettings

PUBLIC, INSIDE = "8.8.8.8", "10.0.0.7"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "a secret")


def settings(url: str, ca_file: Path | None = None) -> dict[str, ReceiverSettings]:
    return {"ci": ReceiverSettings(url=url, secrets=("env:HOOK_SECRET",), ca_file=ca_file)}


async def sent(url: str, egress: EgressSettings | None = None, ca_file: Path | None = None) -> Attempt:
    async with Receivers(settings(url, ca_file), Egress.of(egress or EgressSettings())) as receivers:
        return await receivers.send("ci", "an-id", "text/plain", b"told")


async def test_a_public_receiver_needs_no_allowance_and_one_inside_does(monkeypatch: pytest.MonkeyPatch) -> None:
    internet = Internet(monkeypatch)
    async with receiving() as receiver:
        internet.serve("hooks.example", PUBLIC, receiver.url)
        internet.serve("inside.example", INSIDE, receiver.url)
        assert (await sent("http://hooks.example/a")).cause == "delivered"
        assert (await sent("http://inside.example/b")).cause == "egress-refused"
        assert (await sent("http://hooks.example:9000/c")).cause == "egress-refused"
        assert (await sent("http://inside.example/d", EgressSettings(allow=("10.0.0.0/8",)))).cause == "delivered"
    assert [told.path for told in receiver.told] == ["/a", "/d"]
    assert internet.dialled == [PUBLIC, INSIDE]


async def test_a_name_that_turns_private_is_not_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    internet = Internet(monkeypatch)
    async with receiving() as receiver:
        internet.serve("hooks.example", PUBLIC, receiver.url)
        internet.names["hooks.example"] = [[PUBLIC], ["169.254.169.254"]]
        assert (await sent("http://hooks.example/")).cause == "delivered"
        assert (await sent("http://hooks.example/")).cause == "egress-refused"
    assert internet.dialled == [PUBLIC]


async def test_nobody_is_told_where_a_redirect_points(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver, receiving() as other:
        for status in (301, 302, 303, 307, 308):
            receiver.replies = [answering(status, {"location": f"{other.url}/", "set-cookie": "a=b"})]
            attempt = await sent(receiver.url, allowing(receiver.url, other.url))
            assert (attempt.cause, attempt.status_code) == ("redirected", status)
    assert other.told == []


async def test_no_proxy_cookie_or_login_is_taken_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("default login canary password canary\n")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with (
        receiving(Receiver(usual=answering(200, {"set-cookie": "canary=1"}))) as receiver,
        Receivers(settings(receiver.url), Egress.of(allowing(receiver.url))) as receivers,
    ):
        for _ in range(2):
            assert (await receivers.send("ci", "an-id", "text/plain", b"told")).cause == "delivered"
    assert [sorted(name for name, _ in told.headers) for told in receiver.told] == [
        [
            "accept",
            "accept-encoding",
            "connection",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "webhook-id",
            "webhook-signature",
            "webhook-timestamp",
        ]
    ] * 2


def served(certificate: ServerCertificate) -> "AbstractAsyncContextManager[asyncio.Server]":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"told")
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    class Serving:
        async def __aenter__(self) -> asyncio.Server:
            self.server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
            return self.server

        async def __aexit__(self, *_: object) -> None:
            self.server.close()
            await self.server.wait_closed()

    return Serving()


async def test_a_certificate_must_be_of_an_authority_that_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificate, other = make_server_certificate(tmp_path), make_server_certificate(tmp_path / "other")
    async with served(certificate) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert (await sent(url, allowing(url), certificate.ca_file)).cause == "delivered"
        assert (await sent(url, allowing(url), other.ca_file)).cause == "unreachable"
        assert (await sent(url, allowing(url))).cause == "unreachable"


async def test_what_the_settings_lack_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    async with receiving() as receiver:
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        for change, reason in (
            ({"secrets": (f"file:{tmp_path / 'none'}",)}, "there is no such file"),
            ({"secrets": (f"file:{tmp_path / 'binary'}",)}, "not UTF-8"),
            ({"ca_file": tmp_path / "none"}, "ca_file"),
        ):
            changed = settings(receiver.url)["ci"].model_copy(update=change)
            async with Receivers({"ci": changed}, Egress.of(allowing(receiver.url))) as receivers:
                attempt = await receivers.send("ci", "an-id", "text/plain", b"told")
                unknown = await receivers.send("nobody", "an-id", "text/plain", b"told")
            assert attempt.cause == unknown.cause == "misconfigured"
            assert reason in attempt.detail
    assert receiver.told == []


async def test_who_does_not_listen_is_unreachable() -> None:
    attempt = await sent("http://127.0.0.1:1/", allowing("http://127.0.0.1:1"))
    assert (attempt.cause, attempt.status_code) == ("unreachable", None)
    assert attempt.detail.startswith("receiver ci: ")


async def test_of_an_endless_answer_the_beginning_is_read_and_no_more() -> None:
    sent_bytes = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent_bytes
        await reader.readuntil(b"told")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        with suppress(ConnectionError):
            for _ in range(10_000):
                writer.write(b"x" * 65536)
                await writer.drain()
                sent_bytes += 65536
        writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        attempt = await sent(url, allowing(url))
    assert (attempt.cause, attempt.body) == ("refused", b"x" * limits.reply_bytes)
    # No more than the buffers of both sides and of the system hold; all of it would be 625 MiB.
    assert sent_bytes < 64 * 1024 * 1024
