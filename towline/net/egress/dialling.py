"""The guard at the places where aiohttp looks names up and opens sockets.

aiohttp looks up no name for what it takes for an address, and keeps answers for some seconds; so what is dialled is
judged once more, as the last thing before a socket is opened.
"""

import socket
from collections.abc import Callable

from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from towline.net.egress.guard import Egress

_Dialled = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]]


class VettingResolver(ThreadedResolver):
    """The system's answers (hosts file, name servers), without those that must not be dialled."""

    def __init__(self, egress: Egress) -> None:
        super().__init__()
        self._egress = egress

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of ``host`` that may be dialled.

        Raises:
            EgressRefusedError: there is none.
            OSError: the name cannot be looked up.
        """
        found = await super().resolve(host, port, family)
        vetted = set(self._egress.vet(host, port, [result["host"] for result in found]))
        return [result for result in found if result["host"] in vetted]


def vetting_sockets(egress: Egress, asked: Callable[[], tuple[str, int]]) -> Callable[[_Dialled], socket.socket]:
    """Return what opens a socket for an address that may be dialled; ``asked`` tells the host and port of the request.

    It raises EgressRefusedError for any other.
    """

    def open_socket(dialled: _Dialled) -> socket.socket:
        family, kind, protocol, _, address = dialled
        egress.vet(*asked(), [str(address[0])])
        return socket.socket(family, kind, protocol)

    return open_socket
