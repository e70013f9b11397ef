"""The entries of ``egress.allow`` in the settings.

A network or an address (``10.0.0.0/8``, ``10.0.0.7``, ``fd00::/8``) allows what leads to its addresses, at the ports
that are open to all. A host with a port (``storage.corp:9000``, ``10.0.0.7:9000``, ``[fd00::7]:9000``) is allowed at
that port, a name without one at the ports that are open to all.
"""

from dataclasses import dataclass
from ipaddress import ip_network

from towline.net.egress.addresses import Network
from towline.net.egress.hosts import Host, parse_host


@dataclass(frozen=True, slots=True)
class Server:
    """A host, at one port or at those that are open to all."""

    host: Host
    port: int | None = None


def parse_allowance(text: str) -> Network | Server:
    """Return what an entry allows.

    Raises:
        ValueError: it is neither a network nor a host.
    """
    try:
        return ip_network(text)
    except ValueError:
        if "/" in text:
            raise
    host, colon, port = text.rpartition(":")
    try:
        if not colon:
            return Server(parse_host(text))
        if port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65535:
            return Server(parse_host(host[1:-1] if host.startswith("[") and host.endswith("]") else host), int(port))
    except ValueError:
        pass
    raise ValueError(
        f"{text!r} is no network such as 10.0.0.0/8, and no host such as storage.corp or storage.corp:9000"
    )


def check_allowance(text: str) -> str:
    """Return ``text`` when it is an entry.

    Raises:
        ValueError: it is none.
    """
    parse_allowance(text)
    return text
