"""I12: a canary planted anywhere in the log stops an export, and no text tells what it is."""

import base64
import gzip
import json
import os
import re
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from schemas.catalogue import encode
from schemas.examples import EXAMPLES
from streams.deadletters import dead_letter
from streams.log import Append, LogRecord
from streams.memory_log import MemoryLog
from streams.secrets.known import known_credentials
from streams.secrets.scanner import CREDENTIAL, Scanner, SecretsFoundError
from streams.secrets.shapes import SHAPES
from streams.slices.reader import open_slice
from streams.topics import DEADLETTERS, EVENTS, INBOUND
from tests.support.slices import sliced
from towline.errors import MisuseError, SettingsError
from towline.settings import Settings

CANARY = 'canary/"\\é+=ÿ????? bird'
KNOWN = {"env:HOOK_TOKEN": CANARY}

#: One of each shape, put together here so that nobody takes this file for a leak.
SAMPLES = {
    "private-key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "aws-key": "AKIA" + "IOSFODNN7EXAMPLE",
    "azure-key": "AccountKey=" + "a" * 86 + "==",
    "google-key": "AIza" + "b" * 35,
    "github-token": "ghp_" + "c" * 36,
    "gitlab-token": "glpat-" + "d" * 20,
    "docker-token": "dckr_pat_" + "e" * 27,
    "slack-token": "xoxb-" + "1" * 12 + "-" + "f" * 24,
    "slack-address": "https://hooks.slack.com" + "/services/T00000000/B00000000/" + "g" * 24,
    "npm-token": "npm_" + "h" * 36,
    "pypi-token": "pypi-" + "AgEIcHlwaS5vcmc" + "i" * 60,
    "stripe-key": "sk_live_" + "j" * 24,
    "vault-token": "hvs." + "k" * 24,
    "webhook-secret": "whsec_" + "l" * 32,
    "jwt": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "m" * 43,
    "address-with-password": "https://mover:" + "correct-horse@registry.example.com/v2/",
    "signed-address": "https://store.example.com/blob?X-Amz-Signature=" + "0a" * 32,
    "basic-credentials": "Authorization: Basic " + base64.b64encode(b"mover:correct-horse").decode(),
    "bearer-token": "authorization: bearer " + "n" * 24,
}


def record(
    value: bytes | None, *, key: bytes = b"key", headers: tuple[tuple[str, bytes], ...] = (), topic: str = EVENTS
) -> LogRecord:
    return LogRecord(topic, 2, 7, key, value, headers, 0)


def in_json(text: str) -> bytes:
    return json.dumps({"data": {"reason": ["fine", f"before {text} after"]}}).encode()


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


PLACES = {
    "value": record(f"before {CANARY} after".encode()),
    "key": record(b"{}", key=f"x{CANARY}".encode()),
    "header": record(b"{}", headers=(("authorization", CANARY.encode()),)),
    "header name": record(b"{}", headers=((CANARY, b""),)),
    "text of JSON": record(in_json(CANARY)),
    "text of JSON, all escaped": record(json.dumps({"a": CANARY}, ensure_ascii=True).encode()),
    "name of a member": record(json.dumps({CANARY: 1}).encode()),
    "JSON in a text of JSON": record(in_json(json.dumps({"inner": json.dumps([CANARY])}))),
    "JSON in a text that is none": record(b"body: " + json.dumps(CANARY).encode()),
    "percent-encoded": record(f"https://host/?token={quote(CANARY, safe='')}".encode()),
    "percent-encoded in lower case": record(f"https://host/?token={quote(CANARY, safe='').lower()}".encode()),
    "percent-encoded needlessly": record("".join(f"%{byte:02X}" for byte in CANARY.encode()).encode()),
    "hexadecimal": record(CANARY.encode().hex().encode()),
    "base64": record(base64_of(CANARY.encode()).encode()),
    "base64 for addresses": record(base64.urlsafe_b64encode(CANARY.encode())),
    "base64 of user and secret": record(f"Basic {base64_of(b'u:' + CANARY.encode())}".encode()),
    "base64 of longer user and secret": record(f"auth={base64_of(b'me:' + CANARY.encode() + b'#')}".encode()),
    "base64 after a slash": record(f"path/{base64_of(b'usr:' + CANARY.encode())}".encode()),
    "base64 for addresses after a slash": record(b"path/" + base64.urlsafe_b64encode(b"user:" + CANARY.encode())),
    "base64 of base64": record(base64_of(base64_of(f"secret: {CANARY}".encode()).encode()).encode()),
    "bytes that are no text": record(b"\xff\xfe" + CANARY.encode() + b"\xff"),
    "JSON that is broken": record(in_json(CANARY)[:-3]),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_known_secret_is_found_in_every_place_and_form(place: str) -> None:
    found = Scanner(KNOWN).find(PLACES[place])

    assert CREDENTIAL in {item.kind for item in found}
    for item in found:
        assert "canary" not in str(item)


@pytest.mark.parametrize("place", PLACES)
def test_a_known_secret_in_the_bytes_of_a_dead_letter_is_found(place: str) -> None:
    letter = dead_letter(PLACES[place], "no event")
    held = LogRecord(DEADLETTERS, 0, 0, letter.key, letter.value, letter.headers, 0)

    assert CREDENTIAL in {item.kind for item in Scanner(KNOWN).find(held)}


def test_the_alphabets_of_base64_differ_for_the_canary() -> None:
    for before in (b"", b"u", b"us"):
        assert base64.b64encode(before + CANARY.encode()) != base64.urlsafe_b64encode(before + CANARY.encode())


def test_where_it_is_is_told_and_which_credential() -> None:
    (found,) = Scanner(KNOWN).find(record(in_json(CANARY)))

    assert str(found) == "credential@towline.events/2@7 (env:HOOK_TOKEN): in value.data.reason[1]"


def test_a_name_that_could_be_the_secret_is_not_told() -> None:
    value = json.dumps({"ghp_" + "c" * 36: {"x": SAMPLES["npm-token"]}}).encode()

    assert {item.path for item in Scanner({}).find(record(value))} == {"value", "value.?.x"}


def test_there_is_a_sample_of_each_shape() -> None:
    assert set(SAMPLES) == set(SHAPES)


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize(
    "written",
    [
        lambda text: f"some {text} text".encode(),
        in_json,
        lambda text: in_json(json.dumps({"a": text})),
        lambda text: json.dumps({"value_base64": base64_of(in_json(text))}).encode(),
        lambda text: quote(f"see {text}", safe="").encode(),
    ],
    ids=["text", "JSON", "JSON in JSON", "dead letter", "percent-encoded"],
)
def test_each_well_known_shape_is_found(kind: str, written: object) -> None:
    assert callable(written)
    found = Scanner({}).find(record(written(SAMPLES[kind])))

    assert kind in {item.kind for item in found}
    assert not any(SAMPLES[kind] in str(item) for item in found)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_records_of_the_contract_look_like_no_secret(name: str) -> None:
    assert Scanner(KNOWN).find(record(encode(EXAMPLES[name]))) == []


@pytest.mark.parametrize(
    "text",
    [
        "https://registry.example.com:5000/v2/a@sha256:" + "0" * 64,
        "no basic authentication here, and bearer of news",
        "sha256:" + "eyJ" * 21 + "e",
        "git@github.com:owner/name.git",
    ],
)
def test_what_only_resembles_a_secret_is_none(text: str) -> None:
    assert Scanner(KNOWN).find(record(text.encode())) == []


def test_a_tombstone_holds_nothing() -> None:
    assert Scanner(KNOWN).find(record(None)) == []


async def planted() -> MemoryLog:
    log = MemoryLog(partitions=1)
    await log.append_all(
        [
            Append(EVENTS, b"key", b'{"fine":true}'),
            Append(EVENTS, b"key", in_json(CANARY)),
            Append(INBOUND, b"key", SAMPLES["jwt"].encode()),
        ]
    )
    return log


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
async def test_a_finding_refuses_the_slice_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(SecretsFoundError) as refused:
        await sliced(await planted(), tmp_path / f"slice.{suffix}", scanner=Scanner(KNOWN))

    assert [item.place for item in refused.value.findings] == [
        "jwt@towline.inbound/0@0",
        "credential@towline.events/0@1",
    ]
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - the test is asynchronous


async def test_what_is_allowed_passes_and_the_slice_says_so(tmp_path: Path) -> None:
    allowed = ["credential@towline.events/0@1", "jwt@towline.inbound/0@0"]
    with pytest.raises(SecretsFoundError):
        await sliced(await planted(), tmp_path / "slice.jsonl", scanner=Scanner(KNOWN, allowed[:1]))
    await sliced(await planted(), tmp_path / "slice.jsonl", scanner=Scanner(KNOWN, allowed))

    async with open_slice(tmp_path / "slice.jsonl") as log:
        assert log.scan is not None
        assert (log.scan.credentials, log.scan.kinds, log.scan.allowed) == (1, tuple(SHAPES), tuple(allowed))


def settings(tmp_path: Path, **members: object) -> Settings:
    (tmp_path / "secret").write_text("the secret of a file\n")
    return Settings.model_validate(
        {
            "registries": {
                "local": {"url": "http://127.0.0.1", "username": "me", "password": f"file:{tmp_path}/secret"},
                "hub": {"url": "https://registry-1.docker.io", "credentials": "docker"},
            },
            "hooks": {"local": {"registry": "local", "token": ["env:TOKEN_ONE", "env:TOKEN_TWO"]}},
            "receivers": {"chat": {"url_from": "env:CHAT_ADDRESS"}},
            **members,
        }
    )


async def test_every_credential_of_the_settings_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_ONE", "token number one")
    monkeypatch.setenv("TOKEN_TWO", "token number two")
    monkeypatch.setenv("CHAT_ADDRESS", "https://chat.example.com/secret")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    auth = base64_of(b"docker:its password")
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": auth}}}))

    assert await known_credentials(settings(tmp_path)) == {
        "env:CHAT_ADDRESS": "https://chat.example.com/secret",
        "env:TOKEN_ONE": "token number one",
        "env:TOKEN_TWO": "token number two",
        f"file:{tmp_path}/secret": "the secret of a file",
        "docker:hub": "its password",
    }


async def test_a_credential_that_cannot_be_read_cannot_be_shown_to_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELSEWHERE", raising=False)
    given = Settings.model_validate({"receivers": {"chat": {"url_from": "env:ELSEWHERE"}}})

    with pytest.raises(SettingsError, match="--allow unread-credential@env:ELSEWHERE"):
        await known_credentials(given)
    assert await known_credentials(given, ["unread-credential@env:ELSEWHERE"]) == {}


async def test_a_credential_that_is_in_every_text_by_chance_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAK", "abc1234")
    given = Settings.model_validate({"receivers": {"chat": {"url_from": "env:WEAK"}}})

    with pytest.raises(MisuseError, match=r"shorter than 8 bytes.*--allow short-credential@env:WEAK") as refused:
        await known_credentials(given)
    assert "abc1234" not in str(refused.value)
    assert await known_credentials(given, ["short-credential@env:WEAK"]) == {}


async def test_an_empty_credential_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")

    assert await known_credentials(Settings.model_validate({"receivers": {"c": {"url_from": "env:EMPTY"}}})) == {}


async def test_equal_slices_are_equal_files_but_for_the_moment(tmp_path: Path) -> None:
    log = MemoryLog(partitions=1)
    await log.append(Append(EVENTS, b"key", b"value"))
    await sliced(log, tmp_path / "one.gz")
    await sliced(log, tmp_path / "other.gz")

    one, other = (gzip.decompress((tmp_path / name).read_bytes()).splitlines() for name in ("one.gz", "other.gz"))
    assert one[1:-1] == other[1:-1]
    # No name and no time: system and flags only.
    assert (tmp_path / "one.gz").read_bytes()[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_what_was_harmless_once_is_not_taken_for_a_secret_and_no_secret_for_harmless() -> None:
    scanner = Scanner(KNOWN)
    secret, plain = PLACES["base64 of base64"], record(b'{"name":"a-long-but-harmless-name-of-something"}')
    for _ in range(2):
        assert scanner.find(plain) == []
        assert len(scanner.find(secret)) == 1


DOCUMENTED = Path(__file__).parents[3] / "docs" / "settings.md"


async def test_every_credential_that_settings_can_have_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    text = re.search(r"```yaml\n(.+?)```", DOCUMENTED.read_text(), re.DOTALL)
    assert text is not None
    references = set(re.findall(r"\b(env:[A-Z_]+|file:[\w/.-]+)", text[1]))
    assert len(references) > 10
    asked: set[str] = set()
    monkeypatch.setattr("streams.secrets.known.read_credential", lambda reference: asked.add(reference) or "a secret")
    given = Settings.model_validate(yaml.safe_load(text[1]))
    for name, registry in given.registries.items():
        given.registries[name] = registry.model_copy(update={"credentials": None})
    await known_credentials(given)

    assert asked == references
