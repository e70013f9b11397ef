from pathlib import Path

import httpx
import pytest

from streams.local_registry import LocalRegistry
from streams.serving import ServingError, serving
from tests.support.faults import Answer, Faults
from towline.errors import SettingsError
from towline.net.egress.guard import Egress
from towline.net.http import open_http, open_transport
from towline.net.post import DeliveryError, post_json


def asking(url: str) -> httpx.AsyncClient:
    return open_http(open_transport(Egress().with_server(url)))


async def test_nothing_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    async with serving(LocalRegistry()) as url, asking(url) as http:
        assert (await http.get(f"{url}/v2/")).status_code == 200


async def test_requests_say_who_we_are_and_ask_for_plain_content_and_keep_no_cookie() -> None:
    faults = Faults(LocalRegistry())
    faults.on("GET", "/v2/", Answer(200, {"set-cookie": "a=b; Path=/"}))
    async with serving(faults) as url, asking(url) as http:
        await http.get(f"{url}/v2/")
        await http.get(f"{url}/v2/")
    for request in faults.requests:
        assert request.headers["user-agent"].startswith("towline/")
        assert request.headers["accept-encoding"] == "identity"
        assert "cookie" not in request.headers


async def test_an_address_is_asked_for_as_it_was_given() -> None:
    faults = Faults(LocalRegistry())
    async with serving(faults) as url, asking(url) as http:
        await http.get(f"{url}/v2/?a=%2Fb%3A%3D+%2B&c")
    assert faults.requests[0].query == "a=%2Fb%3A%3D+%2B&c"


@pytest.mark.parametrize("content", [None, "no certificates"])
def test_a_file_of_authorities_that_cannot_be_used_is_a_settings_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=r"ca\.pem"):
        open_transport(Egress(), path)


@pytest.mark.parametrize("status", [307, 400, 500])
async def test_a_delivery_that_is_not_taken_is_an_error_that_may_pass(status: int) -> None:
    faults = Faults(LocalRegistry())
    faults.on("POST", "/hook", Answer(status, {"location": "/elsewhere"}))
    async with serving(faults) as url:
        with pytest.raises(DeliveryError, match=str(status)) as caught:
            await post_json(f"{url}/hook?key=canary", {}, {}, Egress().with_server(url))
    assert caught.value.retryable
    assert "canary" not in str(caught.value)
    with pytest.raises(DeliveryError):
        await post_json(f"{url}/hook", {}, {}, Egress().with_server(url))


async def test_an_address_that_is_taken_is_a_clear_error() -> None:
    async with serving(LocalRegistry()) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(ServingError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with serving(LocalRegistry(), port=port):
                pass
