"""Put on PYTHONPATH, refuses every connection of a process but those to the one address that is allowed."""

import os
import socket
from typing import Any

_ALLOWED = os.environ["TOWLINE_TEST_ALLOWED_ADDRESS"]
_connect, _connect_ex = socket.socket.connect, socket.socket.connect_ex


def _check(sock: socket.socket, address: Any) -> None:
    if sock.family in {socket.AF_INET, socket.AF_INET6} and f"{address[0]}:{address[1]}" != _ALLOWED:
        raise ConnectionRefusedError(f"the network is switched off, except for {_ALLOWED}: {address}")


def _guarded_connect(self: socket.socket, address: Any) -> None:
    _check(self, address)
    _connect(self, address)


def _guarded_connect_ex(self: socket.socket, address: Any) -> int:
    _check(self, address)
    return _connect_ex(self, address)


socket.socket.connect = _guarded_connect  # type: ignore[method-assign]
socket.socket.connect_ex = _guarded_connect_ex  # type: ignore[method-assign]
