"""Credentials that ``docker login`` left: in the file, or with a helper."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.tokens import TokenService
from tests.unit.registry.test_access import CANARY, guarded
from towline import limits
from towline.errors import SettingsError
from towline.registry import Registries, push_image
from towline.registry.credentials import DockerLogin, Login
from towline.registry.errors import RegistryError, UnauthorisedError, UnreachableError
from towline.settings import RegistrySettings

REGISTRY = httpx.URL("https://registry.example:5000")
AUTH = base64.b64encode(f"mover:{CANARY}".encode()).decode()


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that is docker's and the first place for programs."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def configure(docker: Path, **members: Any) -> None:
    (docker / "config.json").write_text(json.dumps(members))


def add_helper(docker: Path, script: str) -> None:
    """Add a helper that notes what it is asked for, and then does as the script says."""
    program = docker / "docker-credential-vault"
    program.write_text(f'#!/bin/sh\nserver=$(cat)\necho "$1 $server" >> {docker}/asked\n{script}\n')
    program.chmod(0o755)


def asked(docker: Path) -> list[str]:
    return (docker / "asked").read_text().splitlines()


def answer(user: str = "mover", secret: str = CANARY) -> str:
    return f"echo '{json.dumps({'ServerURL': 'x', 'Username': user, 'Secret': secret})}'"


NOTHING = "echo credentials not found in native keychain; exit 1"


@pytest.mark.parametrize("name", ["registry.example:5000", "https://registry.example:5000", f"{REGISTRY}/v1/"])
async def test_a_login_in_the_file_is_found_under_any_name_that_docker_gives_it(docker: Path, name: str) -> None:
    configure(docker, auths={name: {"auth": AUTH}, "other.example": {"auth": "bm8="}})
    assert await DockerLogin(REGISTRY)() == Login("mover", CANARY)


async def test_a_login_of_another_registry_or_port_is_none_of_ours(docker: Path) -> None:
    configure(docker, auths={"registry.example": {"auth": AUTH}, "example:5000": {"auth": AUTH}})
    assert await DockerLogin(REGISTRY)() is None


async def test_the_hub_has_its_login_under_an_old_name(docker: Path) -> None:
    configure(docker, auths={"https://index.docker.io/v1/": {"auth": AUTH}})
    assert await DockerLogin(httpx.URL("https://registry-1.docker.io"))() == Login("mover", CANARY)
    assert await DockerLogin(REGISTRY)() is None


@pytest.mark.parametrize("member", [{"credHelpers": {"registry.example:5000": "vault"}}, {"credsStore": "vault"}])
async def test_a_helper_is_asked_for_the_registry_and_its_answer_kept_for_a_while(
    docker: Path, member: dict[str, Any]
) -> None:
    configure(docker, auths={"registry.example:5000": {}}, **member)
    add_helper(docker, answer())
    now = 1000.0
    login = DockerLogin(REGISTRY, lambda: now)
    assert [await login() for _ in range(3)] == [Login("mover", CANARY)] * 3
    assert asked(docker) == ["get registry.example:5000"]
    now += limits.docker_login_seconds
    await login()
    assert len(asked(docker)) == 2


async def test_a_store_that_has_nothing_leaves_it_to_the_file_and_then_to_nobody(docker: Path) -> None:
    add_helper(docker, NOTHING)
    configure(docker, credsStore="vault", auths={"registry.example:5000": {"auth": AUTH}})
    assert await DockerLogin(REGISTRY)() == Login("mover", CANARY)
    configure(docker, credsStore="vault")
    assert await DockerLogin(REGISTRY)() is None


async def test_a_helper_of_another_registry_is_not_asked(docker: Path) -> None:
    add_helper(docker, answer())
    configure(docker, credHelpers={"other.example": "vault"})
    assert await DockerLogin(REGISTRY)() is None
    assert not (docker / "asked").exists()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (f"echo {CANARY}; exit 1", UnreachableError),
        (f"echo {CANARY}", SettingsError),
        (f'echo \'{{"Username": "{CANARY}"}}\'', SettingsError),
    ],
)
async def test_a_helper_that_fails_is_an_error_without_what_it_printed(
    docker: Path, script: str, expected: type[Exception]
) -> None:
    configure(docker, credsStore="vault")
    add_helper(docker, script)
    with pytest.raises(expected, match="docker-credential-vault") as caught:
        await DockerLogin(REGISTRY)()
    assert CANARY not in str(caught.value)


async def test_a_helper_that_hangs_is_ended(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "credential_helper_seconds", 0.2)
    configure(docker, credsStore="vault")
    add_helper(docker, f"echo $$ > {docker}/pid; exec sleep 600")
    with pytest.raises(UnreachableError) as caught:
        await DockerLogin(REGISTRY)()
    assert caught.value.retryable
    if (docker / "pid").exists():  # else it was ended before its first line
        with pytest.raises(ProcessLookupError):
            os.kill(int((docker / "pid").read_text()), 0)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "no JSON",
        "[]",
        '{"auths": ["a"]}',
        '{"auths": {"registry.example:5000": {"auth": "%%%"}}}',
        '{"auths": {"registry.example:5000": {"auth": "", "identitytoken": ["canary-4711"]}}}',
        '{"credsStore": "../vault"}',
        '{"credsStore": 7}',
        '{"credsStore": "absent"}',
    ],
)
async def test_a_login_that_cannot_be_read_is_a_clear_error(docker: Path, content: str | None) -> None:
    if content is not None:
        (docker / "config.json").write_text(content)
    with pytest.raises(SettingsError) as caught:
        await DockerLogin(REGISTRY)()
    assert CANARY not in str(caught.value)


async def test_a_registry_is_used_with_what_docker_has_for_it(docker: Path) -> None:
    tokens = TokenService({"mover": CANARY})
    async with guarded(tokens) as (url, app, _):
        settings = {"one": RegistrySettings(url=url, credentials="docker")}
        configure(docker, auths={url.removeprefix("http://"): {"auth": AUTH}})
        async with Registries(settings, egress=app.egress) as registries:
            await push_image(registries("one"), "team/app", "1.0", [b"layer"])
        configure(docker)
        async with Registries(settings, egress=app.egress) as registries:
            with pytest.raises(UnauthorisedError):
                await registries("one").resolve("team/app", "1.0")


async def test_docker_is_not_asked_by_a_registry_that_wants_nothing(docker: Path) -> None:
    async with (
        serving(LocalRegistry()) as url,
        Registries({"one": RegistrySettings(url=url, credentials="docker")}) as registries,
    ):
        with pytest.raises(RegistryError, match="404"):
            await registries("one").resolve("team/app", "1.0")
    assert not (docker / "config.json").exists()


@pytest.mark.parametrize(
    "members",
    [
        {"credentials": "docker", "username": "a", "password": "env:B"},
        {"credentials": "podman"},
        {"insecure": True, "ca_file": "ca.pem"},
        {"limits": {"concurrent_requests": 0}},
        {"limits": {"bytes_per_second": 10}},
        {"limits": {"speed": 1}},
    ],
)
def test_settings_that_contradict_themselves_are_refused(members: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="RegistrySettings"):
        RegistrySettings.model_validate({"url": "https://registry.example", **members})
