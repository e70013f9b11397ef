"""From remote hosts to registries with names, and to what the settings must say of them."""

import re
from typing import Final
from urllib.parse import urlsplit

from towline.policy.dtr.notes import UnusablePolicyError

_NAME_LENGTH_MAX: Final = 63
#: The address that DTR has for Docker Hub is its index; images are elsewhere.
_DOCKER_HUB: Final = frozenset({"index.docker.io", "docker.io", "registry-1.docker.io", "hub.docker.com"})
_DOCKER_HUB_URL: Final = "https://registry-1.docker.io"


class Hosts:
    """Names for the remote registries of an import: one for each address and user."""

    def __init__(self, own: str) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._taken = {own}

    def name_of(self, host: str, username: str) -> str:
        """Return the name of a remote registry.

        Raises:
            UnusablePolicyError: it is no address.
        """
        url = _url(host)
        name = self._names.get((url, username))
        if name is None:
            base = "docker-hub" if url == _DOCKER_HUB_URL else re.sub(r"[^a-z0-9]+", "-", url.partition("://")[2])
            name = self._names[url, username] = free_name(base, self._taken)
        return name

    def settings(self) -> list[str]:
        """Return the lines of a ``registries:`` section; credentials are references, never values."""
        lines = ["registries:"] if self._names else []
        for (url, username), name in self._names.items():
            lines.append(f"  {name}:")
            lines.append(f'    url: "{url}"')
            if username:
                variable = re.sub(r"[^A-Z0-9]", "_", name.upper())
                variable = f"{'_' if variable[0].isdigit() else ''}{variable}_PASSWORD"
                lines.append(f"    username: {_quoted(username)}")
                lines.append(f'    password: "env:{variable}"')
        return lines


def free_name(wanted: str, taken: set[str]) -> str:
    """Return a name of up to 63 letters, digits and hyphens that nobody has, and take it."""
    base = wanted.strip("-")[:_NAME_LENGTH_MAX].strip("-") or "unnamed"
    name, number = base, 1
    while name in taken:
        number += 1
        suffix = f"-{number}"
        name = base[: _NAME_LENGTH_MAX - len(suffix)].strip("-") + suffix
    taken.add(name)
    return name


def _url(host: str) -> str:
    parts = urlsplit(host if "://" in host else f"https://{host}")
    try:
        address = parts.hostname, parts.port
    except ValueError:
        address = None, None
    is_bare = parts.path in {"", "/"} and not parts.query and not parts.fragment and parts.username is None
    if parts.scheme not in {"http", "https"} or not address[0] or not is_bare:
        raise UnusablePolicyError("remoteHost", "not the address of a registry, such as https://registry.example.com")
    if address[0] in _DOCKER_HUB:
        return _DOCKER_HUB_URL
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
