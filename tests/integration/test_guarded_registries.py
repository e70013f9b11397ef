"""Copies into, within and out of registries that ask who we are, or whose certificate a private authority signed."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.events import TransferCompleted, TransferFailed
from streams.serving import serving
from tests.support.certificates import ServerCertificate, make_server_certificate, make_token_certificate
from tests.support.distribution import PASSWORD, USER, Release, TokenAuth, distribution
from tests.support.egress import allowing
from tests.support.images import assert_complete, copy_command
from tests.support.tokens import TokenService
from towline.failpoints import Failpoints
from towline.registry import Attempts, CopyEngine, Registries, TransferOutcome, carry_out, push_image
from towline.settings import EgressSettings, RegistrySettings

pytestmark = pytest.mark.distribution

WRONG = "not-the-password"


@pytest.fixture(params=["2.8", "3"])
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


async def _no_pause(seconds: float) -> None:
    """What is refused is refused at once."""


async def transfer(registries: Registries, source: str, digest: str, target: str) -> TransferOutcome:
    engine = CopyEngine(registries, Failpoints(), sleep=_no_pause)
    return await carry_out("c" * 64, copy_command(source, digest, target), engine, attempts=Attempts(sleep=_no_pause))


async def copied(
    guarded: RegistrySettings, egress: EgressSettings | None = None
) -> tuple[TransferCompleted, TransferCompleted]:
    """Copy an image into a registry, promote it inside, and copy it out again; return the first two outcomes."""
    with distribution() as plain:
        settings = {"plain": RegistrySettings(url=plain), "guarded": guarded}
        async with Registries(settings, egress=egress or EgressSettings()) as registries:
            image = await push_image(registries("plain"), "dev/app", "1.0", [b"layer"])
            ways = [
                ("plain/dev/app:1.0", "guarded/qa/app:1.0"),
                ("guarded/qa/app:1.0", "guarded/prod/app:1.0"),
                ("guarded/prod/app:1.0", "plain/back/app:1.0"),
            ]
            outcomes = [await transfer(registries, source, image.digest, target) for source, target in ways]
            assert all(isinstance(outcome, TransferCompleted) for outcome in outcomes), outcomes
            await assert_complete(registries("plain"), "back/app", image.digest)
            return outcomes[0], outcomes[1]  # type: ignore[return-value] # said by the line above the last


async def refused(guarded: RegistrySettings, egress: EgressSettings | None = None) -> TransferFailed:
    """Copy into a registry, which fails, and out of it, which fails with the same cause; return the first outcome."""
    with distribution() as plain:
        settings = {"plain": RegistrySettings(url=plain), "guarded": guarded}
        async with Registries(settings, egress=egress or EgressSettings()) as registries:
            image = await push_image(registries("plain"), "dev/app", "1.0", [b"layer"])
            inward = await transfer(registries, "plain/dev/app:1.0", image.digest, "guarded/qa/app:1.0")
            outward = await transfer(registries, "guarded/qa/app:1.0", image.digest, "plain/back/app:1.0")
    assert isinstance(inward, TransferFailed), inward
    assert isinstance(outward, TransferFailed), outward
    assert inward.cause == outward.cause
    return inward


@pytest.fixture
def certificate(tmp_path: Path) -> ServerCertificate:
    return make_server_certificate(tmp_path)


@pytest.fixture(params=["file", "environment", "docker config.json"])
def login(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Login":
    return Login(request.param, tmp_path, monkeypatch)


@dataclass(frozen=True)
class Login:
    """A way to refer to credentials; ``settings`` are those for a registry at a URL."""

    way: str
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def settings(self, url: str, password: str = PASSWORD) -> dict[str, Any]:
        match self.way:
            case "file":
                (self.folder / "password").write_text(password)
                return {"username": USER, "password": f"file:{self.folder / 'password'}"}
            case "environment":
                self.monkeypatch.setenv("MOVER_PASSWORD", password)
                return {"username": USER, "password": "env:MOVER_PASSWORD"}
        host = url.partition("://")[2]
        members = {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}
        (self.folder / "config.json").write_text(json.dumps({"auths": {host: members}}))
        self.monkeypatch.setenv("DOCKER_CONFIG", str(self.folder))
        return {"credentials": "docker"}


async def test_credentials_by_reference_open_a_registry_with_passwords(
    release: Release, certificate: ServerCertificate, login: Login
) -> None:
    with distribution(release=release, basic=True, tls=certificate) as url:
        _, inside = await copied(RegistrySettings(url=url, ca_file=certificate.ca_file, **login.settings(url)))
    assert (inside.blobs_mounted, inside.bytes_copied) == (2, 0)


async def test_a_wrong_password_ends_a_transfer_at_once_and_is_not_told(
    certificate: ServerCertificate, login: Login
) -> None:
    with distribution(basic=True, tls=certificate) as url:
        outcome = await refused(RegistrySettings(url=url, ca_file=certificate.ca_file, **login.settings(url, WRONG)))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("unauthorised", False, 1)
    assert WRONG not in outcome.model_dump_json()
    assert "401" in outcome.detail


async def test_no_password_ends_a_transfer_at_once() -> None:
    with distribution(basic=True) as url:
        outcome = await refused(RegistrySettings(url=url))
    assert (outcome.cause, outcome.attempts) == ("unauthorised", 1)


def token_service(release: Release, folder: Path, *, issuer: str = "issuer.pem") -> TokenService:
    """Make a token service whose certificate is in a file; the registry trusts ``issuer.pem``."""
    key = make_token_certificate(folder / issuer)
    return TokenService({USER: PASSWORD}, key=key, thumbprint=release == "3")


@asynccontextmanager
async def token_registry(
    release: Release, folder: Path, tokens: TokenService
) -> AsyncIterator[tuple[str, EgressSettings]]:
    async with serving(tokens) as realm:
        with distribution(release=release, token=TokenAuth(f"{realm}/token", folder / "issuer.pem")) as url:
            yield url, allowing(realm)


async def test_a_registry_with_tokens_is_asked_for_no_more_than_needed(
    release: Release, tmp_path: Path, login: Login
) -> None:
    tokens = token_service(release, tmp_path)
    async with token_registry(release, tmp_path, tokens) as (url, egress):
        _, inside = await copied(RegistrySettings(url=url, **login.settings(url)), egress)
    assert inside.blobs_mounted == 2
    assert {tuple(scopes) for scopes in tokens.asked} == {
        ("repository:qa/app:pull,push",),
        ("repository:qa/app:pull",),
        ("repository:prod/app:pull,push",),
        ("repository:prod/app:pull",),
        ("repository:prod/app:pull,push", "repository:qa/app:pull"),
    }


async def test_a_token_service_that_does_not_know_us_ends_a_transfer_at_once(
    release: Release, tmp_path: Path, login: Login
) -> None:
    tokens = token_service(release, tmp_path)
    async with token_registry(release, tmp_path, tokens) as (url, egress):
        outcome = await refused(RegistrySettings(url=url, **login.settings(url, WRONG)), egress)
    assert (outcome.cause, outcome.attempts) == ("unauthorised", 1)
    assert WRONG not in outcome.model_dump_json()


async def test_tokens_that_another_issuer_signed_end_a_transfer_at_once(
    release: Release, tmp_path: Path, login: Login
) -> None:
    make_token_certificate(tmp_path / "issuer.pem")
    tokens = token_service(release, tmp_path, issuer="another.pem")
    async with token_registry(release, tmp_path, tokens) as (url, egress):
        outcome = await refused(RegistrySettings(url=url, **login.settings(url)), egress)
    assert (outcome.cause, outcome.attempts) == ("unauthorised", 1)


async def test_a_registry_whose_authority_is_not_known_is_not_used(certificate: ServerCertificate) -> None:
    with distribution(tls=certificate) as url:
        outcome = await refused(RegistrySettings(url=url))
    assert outcome.cause == "unreachable"
    assert "certificate is not taken" in outcome.detail
    assert "unable to get local issuer certificate" in outcome.detail


async def test_the_authority_of_another_registry_does_not_count(tmp_path: Path, certificate: ServerCertificate) -> None:
    (tmp_path / "other").mkdir()
    other = make_server_certificate(tmp_path / "other")
    with distribution(tls=certificate) as url:
        outcome = await refused(RegistrySettings(url=url, ca_file=other.ca_file))
    assert outcome.cause == "unreachable"
    assert "certificate is not taken" in outcome.detail


async def test_a_certificate_that_is_over_is_not_taken(tmp_path: Path) -> None:
    certificate = make_server_certificate(tmp_path, valid_for=timedelta(hours=-1))
    with distribution(tls=certificate) as url:
        outcome = await refused(RegistrySettings(url=url, ca_file=certificate.ca_file))
    assert outcome.cause == "unreachable"
    assert "certificate has expired" in outcome.detail


async def test_the_certificate_of_another_host_is_not_taken(tmp_path: Path) -> None:
    certificate = make_server_certificate(tmp_path, "127.0.0.2")
    with distribution(tls=certificate) as url:
        outcome = await refused(RegistrySettings(url=url, ca_file=certificate.ca_file))
    assert outcome.cause == "unreachable"
    assert "certificate is not valid for '127.0.0.1'" in outcome.detail


async def test_a_registry_whose_certificate_is_not_to_be_checked_is_used_with_a_warning(
    certificate: ServerCertificate, caplog: pytest.LogCaptureFixture
) -> None:
    with distribution(tls=certificate) as url:
        await copied(RegistrySettings(url=url, insecure=True))
    warnings = [it.getMessage() for it in caplog.records if it.name.startswith("towline.registry")]
    assert warnings == [f"registry guarded: certificates of {url} are not checked"]
