"""Where the credentials of a registry come from: our settings, or those that ``docker login`` left."""

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from towline import limits
from towline.errors import SettingsError
from towline.registry.errors import UnreachableError
from towline.settings import RegistrySettings, docker_config_file, read_credential


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are at a registry."""

    user: str
    secret: str = field(repr=False)
    #: The secret is no password but a refresh token, for the registry's token service alone (docker: identity token).
    is_identity_token: bool = False

    def basic(self) -> str:
        """Return it as a header of basic authentication (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode("ascii")


Credential = Callable[[], Awaitable[Login | None]]
"""Reads who we are at the time of use; None: anonymous."""

#: Under this name docker keeps the login of its own hub, whatever host it pulls from.
_HUB_KEY: Final = "https://index.docker.io/v1/"
_HUB_HOSTS: Final = frozenset({"registry-1.docker.io", "index.docker.io", "docker.io"})

_HELPER_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: What helpers say, with exit code 1, when they have nothing for a host.
_NOTHING: Final = b"credentials not found"
#: The user name by which helpers mark an identity token.
_IDENTITY_TOKEN_USER: Final = "<token>"  # noqa: S105 - a marker, no secret


def credential_of(settings: RegistrySettings) -> Credential:
    """Return how the credentials of a registry are read."""
    if settings.credentials == "docker":
        return DockerLogin(httpx.URL(settings.url))

    async def read() -> Login | None:
        if settings.username is None or settings.password is None:
            return None
        return Login(settings.username, read_credential(settings.password))

    return read


class DockerLogin:
    """What docker's ``config.json`` has for a registry: by a credential helper or in the file itself.

    Kept for a while, because a helper is a process. ``clock`` returns seconds that only grow.
    """

    def __init__(self, registry: httpx.URL, clock: Callable[[], float] = time.monotonic) -> None:
        host = registry.netloc.decode("ascii")
        self._names = [host, f"https://{host}", f"https://{host}/v1/", f"https://{host}/v2/"]
        if registry.host in _HUB_HOSTS:
            self._names.insert(0, _HUB_KEY)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._kept: Login | None = None
        self._kept_until = 0.0

    async def __call__(self) -> Login | None:
        """Return the login, or None when docker knows none.

        Raises:
            SettingsError: the file or a helper cannot be used.
            UnreachableError: a helper failed.
        """
        async with self._lock:
            if self._clock() >= self._kept_until:
                self._kept = await self._read(docker_config_file())
                self._kept_until = self._clock() + limits.docker_login_seconds
            return self._kept

    async def _read(self, file: Path) -> Login | None:
        document = _document(file)
        helpers, logins = _members(document, "credHelpers", file), _members(document, "auths", file)
        own = next((helpers[name] for name in self._names if name in helpers), None)
        helper = own or document.get("credsStore")
        if helper:
            for name in self._names:
                if (found := await _ask(helper, name)) is not None:
                    return found
        return next((_login(logins[name], file) for name in self._names if name in logins), None)


def _document(file: Path) -> dict[str, Any]:
    try:
        document: Any = orjson.loads(file.read_bytes())
    except OSError as error:
        raise SettingsError(f"docker's {file}: {error.strerror or error}") from None
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise SettingsError(f"docker's {file} is not a JSON object")
    return document


def _members(document: dict[str, Any], member: str, file: Path) -> dict[str, Any]:
    found = document.get(member) or {}
    if not isinstance(found, dict):
        raise SettingsError(f"docker's {file}: {member} is not an object")
    return found


def _login(entry: Any, file: Path) -> Login | None:
    unreadable = SettingsError(f"docker's {file} holds a login that cannot be read")
    if not isinstance(entry, dict):
        raise unreadable
    try:
        text = base64.b64decode(entry.get("auth") or "", validate=True).decode()
    except (binascii.Error, ValueError, TypeError):
        raise unreadable from None
    user, colon, password = text.partition(":")
    token = entry.get("identitytoken") or ""
    if not isinstance(token, str):
        raise unreadable
    if token:
        return Login(user, token, is_identity_token=True)
    # An empty entry stands for a login that a helper has.
    return Login(user, password) if colon else None


async def _ask(helper: Any, server: str) -> Login | None:
    """Ask a credential helper (protocol of docker-credential-helpers); what it prints is in no text of ours."""
    if not isinstance(helper, str) or _HELPER_NAME.fullmatch(helper) is None:
        raise SettingsError("docker's config.json names a credential helper that cannot be one")
    program = f"docker-credential-{helper}"
    try:
        code, out = await _run(program, server.encode())
    except TimeoutError:
        raise UnreachableError(f"{program} gave no answer in {limits.credential_helper_seconds:.0f} seconds") from None
    except OSError as error:
        raise SettingsError(f"{program}: {error.strerror or error}") from None
    if code != 0:
        if _NOTHING in out:
            return None
        raise UnreachableError(f"{program} failed with exit code {code}")
    try:
        document: Any = orjson.loads(out)
        user, secret = document["Username"], document["Secret"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise SettingsError(f"{program} gave something that is no login") from None
    if not isinstance(user, str) or not isinstance(secret, str):
        raise SettingsError(f"{program} gave something that is no login")
    return Login(user, secret, is_identity_token=user == _IDENTITY_TOKEN_USER)


async def _run(program: str, given: bytes) -> tuple[int, bytes]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        program, "get", stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(limits.credential_helper_seconds):
            out, _ = await process.communicate(given)
            return await process.wait(), out[: limits.token_bytes]
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
