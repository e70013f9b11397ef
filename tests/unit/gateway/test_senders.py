"""Who has no right to send learns nothing but that (S07, S26)."""

from pathlib import Path

import pytest

from streams.memory_log import MemoryLog
from tests.support.gateways import app, calling, events_in
from tests.unit.dialects.deliveries import distribution, distribution_event
from towline.dialects import Delivery, Translation
from towline.errors import SettingsError
from towline.hook_settings import HookSettings

TOKEN = "canary-s3cret"


@pytest.fixture
def hook(tmp_path: Path) -> HookSettings:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return HookSettings(registry="local", token=f"file:{tmp_path / 'token'}")


BODY = distribution(distribution_event()).body


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_token_lets_a_sender_in(hook: HookSettings, scheme: str) -> None:
    log = MemoryLog()
    async with calling(app(log, hooks={"local": hook})) as client:
        answer = await client.post("/hooks/local", content=BODY, headers={"authorization": f"{scheme} {TOKEN}"})
    assert answer.status_code == 202
    assert len(await events_in(log)) == 1


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", TOKEN)],
        [("authorization", f"Basic {TOKEN}")],
        [("authorization", f"Bearer {TOKEN}x")],
        [("authorization", f"Bearer {TOKEN[:-1]}")],
        [("authorization", f"Bearer  {TOKEN}")],
        [("authorization", f"Bearer {TOKEN.upper()}")],
        [("authorization", f"Bearer {TOKEN}.")],
        [("authorization", f"Bearer {TOKEN}\u00e9".encode("latin-1"))],
        [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer other")],
        [("x-authorization", f"Bearer {TOKEN}")],
        [("cookie", TOKEN)],
    ],
)
async def test_anything_but_the_token_gets_the_same_401(
    hook: HookSettings, headers: list[tuple[str, str | bytes]]
) -> None:
    log = MemoryLog()
    raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers]
    async with calling(app(log, hooks={"local": hook})) as client:
        answer = await client.post("/hooks/local", content=BODY, headers=raw)
    assert answer.status_code == 401
    assert answer.json() == {"error": {"reason": "unauthorized"}}
    assert answer.headers["www-authenticate"] == "Bearer"
    assert await events_in(log) == []


async def test_a_token_in_the_address_does_not_count(hook: HookSettings) -> None:
    async with calling(app(MemoryLog(), hooks={"local": hook})) as client:
        answer = await client.post("/hooks/local", params={"token": TOKEN, "access_token": TOKEN}, content=BODY)
    assert answer.status_code == 401


async def test_the_body_of_an_unknown_sender_is_not_read(hook: HookSettings) -> None:
    async def body():
        raise AssertionError("the body was read")
        yield b""

    async with calling(app(MemoryLog(), hooks={"local": hook})) as client:
        answer = await client.post("/hooks/local", content=body())
    assert answer.status_code == 401


async def test_the_token_is_in_no_event_and_no_answer(hook: HookSettings) -> None:
    log = MemoryLog()
    async with calling(app(log, hooks={"local": hook})) as client:
        headers = {"authorization": f"Bearer {TOKEN}"}
        accepted = await client.post("/hooks/local", content=BODY, headers=headers)
        refused = await client.post("/hooks/local", content=b"{", headers=headers)
    assert TOKEN not in accepted.text + refused.text + repr(await events_in(log))


async def test_no_dialect_gets_to_see_a_secret(hook: HookSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Delivery] = []

    def look(_: str, delivery: Delivery, __: str | None) -> Translation:
        seen.append(delivery)
        return Translation(())

    monkeypatch.setattr("streams.gateway.hooks.translate", look)
    headers = {
        "authorization": f"Bearer {TOKEN}",
        "cookie": "canary",
        "Proxy-Authorization": "canary",
        "X-Event": "push",
    }
    async with calling(app(MemoryLog(), hooks={"local": hook})) as client:
        await client.post("/hooks/local", content=BODY, headers=headers)
    (delivery,) = seen
    assert delivery.headers["x-event"] == "push"
    assert "canary" not in repr(delivery.headers)


async def test_tokens_of_other_hooks_do_not_count(hook: HookSettings, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("other")
    other = HookSettings(registry="local", token=f"file:{tmp_path / 'other'}")
    async with calling(app(MemoryLog(), hooks={"local": hook, "other": other})) as client:
        answer = await client.post("/hooks/other", content=BODY, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 401


async def test_a_credential_that_is_missing_is_found_at_start(tmp_path: Path) -> None:
    hook = HookSettings(registry="local", token=f"file:{tmp_path / 'missing'}")
    with pytest.raises(SettingsError, match="no such file"):
        app(MemoryLog(), hooks={"local": hook})


async def test_an_empty_credential_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    hook = HookSettings(registry="local", token=f"file:{tmp_path / 'empty'}")
    with pytest.raises(SettingsError, match=r"hooks\.local\.token: .* is empty"):
        app(MemoryLog(), hooks={"local": hook})
