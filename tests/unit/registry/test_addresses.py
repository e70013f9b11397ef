"""Where a registry may send us: redirects, uploads, pages, token services (security catalogue S04; faults R13, R17)."""

from dataclasses import replace

import httpx
import pytest

from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.faults import Alter, Answer, Answered
from tests.support.pairs import Pair
from tests.support.tokens import TokenService
from tests.unit.registry.copying import BLOB, failed
from tests.unit.registry.test_access import Guarded, client_of
from towline.registry.addresses import address_at
from towline.registry.errors import ProtocolError, RedirectRefusedError, RegistryError
from towline.registry.exchange import next_location

SECURE, PLAIN = httpx.URL("https://registry.example/v2/a"), httpx.URL("http://registry.example/v2/a")

#: What is no address, and what some library below would fail on in a way of its own.
NO_ADDRESS = [
    "ftp://registry.example/a",
    "javascript:alert(1)",
    "http://[::1",
    "http://a..b/",
    f"http://{'a' * 300}/",
    "http://xn--/",
    "http://a b/",
    "http://a%00b/",
    "http://a%2fb/",
    "http://a:99999999/",
    "http://a:0/",
    "http://1.2.3.4.5/",
    "http://127.1/",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://017700000001/",
    "/" + "x" * 70_000,
]


@pytest.mark.parametrize("text", NO_ADDRESS)
def test_what_is_no_address_is_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError):
        address_at(PLAIN, text, "read")


@pytest.mark.parametrize("text", ["http://registry.example/b", "HTTP://store.example/b"])
def test_nobody_leads_us_from_https_to_plain_http(text: str) -> None:
    with pytest.raises(RedirectRefusedError):
        address_at(SECURE, text, "read")
    address_at(PLAIN, text, "read")


@pytest.mark.parametrize(
    ("here", "text", "expected"),
    [
        (SECURE, "b?x=a%2Fb", "https://registry.example/v2/b?x=a%2Fb"),
        (SECURE, "//store.example/b", "https://store.example/b"),
        (SECURE, "https://user:secret@store.example:8443/b", "https://store.example:8443/b"),
        (SECURE, "https://10.0.0.7:9000/bucket", "https://10.0.0.7:9000/bucket"),
        (PLAIN, "https://store.example/b", "https://store.example/b"),
        (httpx.URL("http://127.0.0.1:5000/"), "http://localhost:5001/", "http://localhost:5001/"),
        (httpx.URL("http://localhost:5000/"), "http://[::1]:5001/", "http://[::1]:5001/"),
        (httpx.URL("http://169.254.1.1/"), "/b", "http://169.254.1.1/b"),
    ],
)
def test_any_other_address_is_followed_without_user_information(here: httpx.URL, text: str, expected: str) -> None:
    assert str(address_at(here, text, "read")) == expected


def test_an_answer_without_location_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        next_location(httpx.Response(307, request=httpx.Request("GET", PLAIN)), "read")


@pytest.mark.parametrize("text", ["http://a..b/", "http://xn--/", "http://169.254.169.254/", "http://a:99999999/"])
async def test_wherever_such_an_address_comes_it_ends_the_transfer_and_not_the_worker(pair: Pair, text: str) -> None:
    image = await pair.push()

    def relocated(answered: Answered) -> Answered:
        return replace(answered, headers={**answered.headers, "location": text})

    pair.target_faults.on("POST", "uploads/", Alter(relocated), times=1000)
    assert failed(await pair.carry_out(image)).cause in {"protocol", "redirect-refused"}
    pair.target.store.uploads.clear()  # nobody could give up what nobody could address
    pair.source_faults.on("GET", BLOB, Answer(307, {"location": text}), times=1000)
    pair.target_faults.stop()
    assert failed(await pair.carry_out(image)).cause in {"protocol", "redirect-refused"}
    pair.source_faults.on("GET", "tags/list", Answer(200, {"link": f'<{text}>; rel="next"'}, b'{"tags": []}'))
    with pytest.raises(RegistryError):
        assert [tag async for tag in pair.source_client.list_tags("dev/app")] == []
    guard = Guarded(LocalRegistry(), lambda: text, TokenService())
    async with serving(guard) as url, client_of(url) as client:
        with pytest.raises(RegistryError):
            await client.resolve("team/app", "1.0")
