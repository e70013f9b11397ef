"""Names and addresses of a network that is not there: what is looked up and dialled, without leaving this machine."""

import asyncio
import socket
from typing import Any

import pytest


class Internet:
    """Answers lookups from ``names`` (each name's answers in turn, the last again and again) and keeps what is dialled.

    ``servers`` says at which local port what listens that has an address; any other address refuses connections. Names
    that are not known have ``anything_else``, or cannot be looked up without it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, anything_else: list[str] | None = None) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.servers: dict[str, int] = {}
        self.looked_up: list[str] = []
        self.dialled: list[str] = []
        self._anything_else = anything_else
        loop = asyncio.SelectorEventLoop
        self._connect = loop.sock_connect
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)
        monkeypatch.setattr(loop, "sock_connect", _through(self))

    def serve(self, name: str, address: str, url: str) -> None:
        """Let ``name`` have ``address``, and what listens at the local ``url`` be there, at every port."""
        self.names[name] = [[address]]
        self.servers[address] = int(url.rpartition(":")[2])

    def _look_up(self, host: str, port: int, *_: object, **__: object) -> list[Any]:
        self.looked_up.append(host)
        answers = self.names.get(host.rstrip("."))
        if answers is None and self._anything_else is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = self._anything_else if answers is None else answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in found or []
        ]

    async def dial(self, loop: asyncio.SelectorEventLoop, sock: socket.socket, address: tuple[Any, ...]) -> None:
        self.dialled.append(address[0])
        local = self.servers.get(address[0])
        if local is None:
            raise ConnectionRefusedError(f"{address[0]} is not served")
        await self._connect(loop, sock, ("127.0.0.1", local))


def _through(internet: Internet) -> Any:
    """Return a method of a loop; one of another object would not be given the loop."""

    async def sock_connect(loop: asyncio.SelectorEventLoop, sock: socket.socket, address: tuple[Any, ...]) -> None:
        await internet.dial(loop, sock, address)

    return sock_connect
