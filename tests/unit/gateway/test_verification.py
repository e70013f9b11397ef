"""At a hook each way to verify a sender lets that one in, and tells all others the same nothing (S07, S26, I12)."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from streams.memory_log import MemoryLog
from tests.support.gateways import NOW, app, calling, events_in
from tests.unit.dialects.deliveries import distribution, distribution_event
from tests.unit.senders.test_tokens import AUDIENCE, EMAIL, KEYS, claims, token
from towline.dialects import DIALECTS, Delivery, Translation, translate
from towline.errors import InfrastructureError, SettingsError
from towline.hook_settings import DialectName, HookSettings
from towline.receivers.signing import secret_key, signature_headers

BODY = distribution(distribution_event()).body
SECRET, BEFORE = "canary-0123456789", "canary-9876543210"


@dataclass(frozen=True)
class Way:
    """A way to verify: its member of the settings, and what a sender with a secret gives."""

    member: Callable[[Any], dict[str, Any]]
    headers: Callable[[str], Mapping[str, str]]
    address: Callable[[str], str] = lambda _: "/hooks/local"


def _hmac(algorithm: str, header: str) -> Way:
    return Way(
        lambda secret: {"hmac": {"secret": secret, "header": header, "algorithm": algorithm}},
        lambda secret: {header: hmac.digest(secret.encode(), BODY, algorithm).hex()},
    )


WAYS = {
    "token": Way(lambda secret: {"token": secret}, lambda secret: {"authorization": f"Bearer {secret}"}),
    "basic": Way(
        lambda secret: {"basic": {"username": "sender", "password": secret}},
        lambda secret: {"authorization": _basic(f"sender:{secret}")},
    ),
    "header": Way(
        lambda secret: {"header": {"name": "X-Secret", "value": secret}}, lambda secret: {"x-secret": secret}
    ),
    "sha256": _hmac("sha256", "x-hub-signature-256"),
    "sha1": _hmac("sha1", "x-nexus-webhook-signature"),
    "standard": Way(
        lambda secret: {"standard_webhooks": secret},
        lambda secret: signature_headers("id", int(NOW.timestamp()), BODY, [secret_key(secret)]),
    ),
    "path": Way(lambda secret: {"path": secret}, lambda _: {}, lambda secret: f"/hooks/local/{secret}"),
}


def _basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.fixture
def references(tmp_path: Path) -> list[str]:
    (tmp_path / "now").write_text(f"{SECRET}\n")
    (tmp_path / "before").write_text(BEFORE)
    return [f"file:{tmp_path / 'now'}", f"file:{tmp_path / 'before'}"]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_either_secret_lets_the_sender_in_and_no_other(references: list[str], way: Way) -> None:
    hook = HookSettings.model_validate({"registry": "local", **way.member(references)})
    log = MemoryLog()
    async with calling(app(log, hooks={"local": hook})) as client:
        for secret in (SECRET, BEFORE):
            answer = await client.post(way.address(secret), content=BODY, headers=way.headers(secret))
            assert answer.status_code == 202
        refused = [
            await client.post(way.address(SECRET[:-1]), content=BODY, headers=way.headers(SECRET[:-1])),
            await client.post("/hooks/local", content=BODY),
            await client.post("/hooks/local", content=BODY, headers={"authorization": "Bearer x", "x-secret": "x"}),
        ]
        if way is not WAYS["path"]:
            given = way.headers(SECRET)
            doubled = [(name.encode(), value.encode()) for name, value in given.items() for _ in range(2)]
            refused.append(await client.post("/hooks/local", content=BODY, headers=doubled))
            assert (await client.post(f"/hooks/local/{SECRET}", content=BODY, headers=given)).status_code == 404
    assert len(await events_in(log)) == 2
    answers = {(answer.status_code, answer.text, tuple(sorted(answer.headers.items()))) for answer in refused}
    assert len(answers) == 1
    assert refused[0].status_code == 401
    assert refused[0].json() == {"error": {"reason": "unauthorized"}}
    assert refused[0].headers["www-authenticate"]


@pytest.mark.parametrize("way", [WAYS["sha256"], WAYS["sha1"], WAYS["standard"]], ids=["sha256", "sha1", "standard"])
async def test_a_signed_body_that_was_changed_is_refused_like_a_wrong_signature(
    references: list[str], way: Way
) -> None:
    hook = HookSettings.model_validate({"registry": "local", **way.member(references)})
    log = MemoryLog()
    async with calling(app(log, hooks={"local": hook})) as client:
        again = json.dumps(json.loads(BODY), indent=1).encode()
        changed = await client.post("/hooks/local", content=again, headers=way.headers(SECRET))
        wrong = await client.post("/hooks/local", content=BODY, headers=way.headers("wrong"))
    assert (changed.status_code, changed.text, changed.headers) == (wrong.status_code, wrong.text, wrong.headers)
    assert changed.status_code == 401
    assert await events_in(log) == []


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_no_secret_is_in_an_event_an_answer_or_what_a_dialect_sees(
    references: list[str], way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Delivery] = []

    def look(dialect: str, delivery: Delivery, registry: str | None) -> Translation:
        seen.append(delivery)
        return translate(dialect, delivery, registry)

    monkeypatch.setattr("streams.gateway.hooks.translate", look)
    hook = HookSettings.model_validate({"registry": "local", **way.member(references)})
    log = MemoryLog()
    async with calling(app(log, hooks={"local": hook})) as client:
        answer = await client.post(way.address(SECRET), content=BODY, headers=way.headers(SECRET))
        metrics = await client.get("/metrics")
    (delivery,) = seen
    shown = repr(delivery.headers)
    everything = answer.text + repr(await events_in(log)) + metrics.text + shown
    assert "canary" not in everything
    proof = {value for name, value in way.headers(SECRET).items() if name not in {"webhook-id", "webhook-timestamp"}}
    assert not any(value in shown for value in proof)


async def test_what_is_given_twice_is_one_list_for_the_dialect(references: list[str]) -> None:
    hook = HookSettings.model_validate({"registry": "local", "dialect": "cloudevents", "token": references})
    data = b'{"repository": "local/a", "tag": "1", "digest": "sha256:%s"}' % (b"0" * 64)
    headers = [
        ("authorization", f"Bearer {SECRET}"),
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-type", "image.pushed"),
        ("ce-type", "image.deleted"),
        ("ce-source", "a"),
        ("ce-id", "1"),
    ]
    async with calling(app(MemoryLog(), hooks={"local": hook})) as client:
        answer = await client.post("/hooks/local", content=data, headers=headers)
    assert answer.status_code == 400
    assert "image.pushed, image.deleted" in answer.json()["error"]["reason"]


OIDC = {"oidc": {"audience": AUDIENCE, "email": EMAIL, "keys_url": "https://keys.example/certs"}}


async def test_a_token_of_the_platform_lets_the_sender_in(monkeypatch: pytest.MonkeyPatch) -> None:
    async def key_of(_: object, key_id: str) -> object:
        return KEYS.get(key_id)

    monkeypatch.setattr("streams.gateway.signing_keys.SigningKeys.key_of", key_of)
    hook = HookSettings.model_validate({"registry": "local", **OIDC})
    log = MemoryLog()
    async with calling(app(log, hooks={"local": hook})) as client:
        good, *bad = [
            await client.post("/hooks/local", content=BODY, headers={"authorization": f"Bearer {text}"})
            for text in (token(claims()), token(claims(aud="x")), token(claims(email="x@y")), token(claims(), kid="no"))
        ]
    assert good.status_code == 202
    assert len({(answer.status_code, answer.text, tuple(answer.headers.items())) for answer in bad}) == 1
    assert bad[0].status_code == 401
    assert len(await events_in(log)) == 1


async def test_while_the_keys_cannot_be_had_the_sender_is_asked_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> object:
        raise InfrastructureError("canary")

    monkeypatch.setattr("towline.net.egress.client.GuardedClient.send", away)
    hook = HookSettings.model_validate({"registry": "local", **OIDC})
    async with calling(app(MemoryLog(), hooks={"local": hook})) as client:
        answer = await client.post("/hooks/local", content=BODY, headers={"authorization": f"Bearer {token(claims())}"})
        nonsense = await client.post("/hooks/local", content=BODY, headers={"authorization": "Bearer a.b.c"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "canary" not in answer.text
    assert nonsense.status_code == 401


@pytest.mark.parametrize(
    ("member", "content", "problem"),
    [
        ("path", "short", "a secret in an address has 16 to 256 letters"),
        ("path", "0123456789abcde/", "a secret in an address has 16 to 256 letters"),
        ("standard_webhooks", "whsec_!", "what follows whsec_ is not base64"),
        ("standard_webhooks", "whsec_", "the secret is empty"),
        ("token", "", "is empty"),
        ("path", "", "is empty"),
    ],
)
def test_a_secret_that_cannot_be_used_is_found_at_start(
    tmp_path: Path, member: str, content: str, problem: str
) -> None:
    (tmp_path / "secret").write_text(content)
    hook = HookSettings.model_validate({"registry": "local", member: f"file:{tmp_path / 'secret'}"})
    with pytest.raises(SettingsError, match=rf"hooks\.local\.{member}: .*{problem}") as refused:
        app(MemoryLog(), hooks={"local": hook})
    assert not content or content not in str(refused.value).replace("whsec_ is", "").replace(str(tmp_path), "")


def test_the_settings_know_every_dialect() -> None:
    assert set(get_args(DialectName)) == set(DIALECTS)


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("ghcr", ("X-Hub-Signature-256", "sha256")),
        ("jfrog", ("X-JFrog-Event-Auth", "sha256")),
        ("jfrog-subdomain", ("X-JFrog-Event-Auth", "sha256")),
        ("nexus", ("X-Nexus-Webhook-Signature", "sha1")),
        ("nexus-path", ("X-Nexus-Webhook-Signature", "sha1")),
    ],
)
def test_senders_that_sign_have_their_own_header(dialect: str, expected: tuple[str, str]) -> None:
    hook = HookSettings.model_validate({"registry": "local", "dialect": dialect, "hmac": {"secret": "env:S"}})
    assert hook.hmac is not None
    assert hook.signature_of(hook.hmac) == expected
