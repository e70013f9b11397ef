"""The judgement: may a request go to this address, and a connection to that IP address?

Public addresses at the ports that are open to all are where a request may go. Anything else needs an allowance of the
settings. A *server* that is allowed (a registry of the settings, an entry with a host) may have an address that is not
public, but none of those that no server has, unless the allowance spells it. An address that wraps an IPv4 address
needs that one to be allowed as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final, Self

import yarl

from towline.net.egress.addresses import NEVER_BY_NAME, Kind, Network, embedded, kind_of
from towline.net.egress.allowances import Server, parse_allowance
from towline.net.egress.errors import EgressRefusedError
from towline.net.egress.hosts import Address, Host, parse_host
from towline.settings import EgressSettings

#: The ports that are open to all: those of HTTP and HTTPS.
PORTS: Final = frozenset({80, 443})


@dataclass(frozen=True, slots=True)
class Egress:
    """Where requests may go; as it is made, to public addresses at the usual ports."""

    networks: tuple[Network, ...] = ()
    servers: frozenset[Server] = frozenset()
    ports: frozenset[int] = PORTS

    @classmethod
    def of(cls, settings: EgressSettings) -> Self:
        """Return what the settings allow."""
        entries = [parse_allowance(text) for text in settings.allow]
        return cls(
            tuple(entry for entry in entries if not isinstance(entry, Server)),
            frozenset(entry for entry in entries if isinstance(entry, Server)),
            PORTS | frozenset(settings.ports),
        )

    def with_server(self, url: str) -> Self:
        """Return the same, and the host and port of ``url`` allowed: somebody who may say so configured it.

        An address that is none allows nothing: whoever asks for it is told.
        """
        try:
            address = yarl.URL(url, encoded=True)
            server = Server(parse_host(address.raw_host or ""), address.port)
        except ValueError:
            return self
        return replace(self, servers=self.servers | {server})

    def check(self, text: str) -> yarl.URL:
        """Return the address ``text`` when a request may be sent to it, as far as that shows without a lookup.

        It keeps its escapes as they are, and is to be connected to as it is: a second reading of the text might find
        another host in it.

        Raises:
            EgressRefusedError: it must not, and what would have to be set.
        """
        try:
            url = yarl.URL(text, encoded=True)
            host, port, is_told_who = parse_host(url.raw_host or ""), url.port or 0, "@" in url.raw_authority
        except ValueError:
            raise EgressRefusedError("no request is sent to an address without a proper host and port") from None
        if url.scheme not in {"http", "https"}:
            raise EgressRefusedError("no request is sent to an address other than HTTP's")
        if is_told_who:
            raise EgressRefusedError("no request is sent to an address with user information")
        if self._is_named(host, port):
            return url
        if port not in self.ports:
            raise EgressRefusedError(
                f"no request is sent to port {port} of {host}: it is none of {sorted(self.ports)}; "
                f"allow it by {_spelled(host, port)} in egress.allow, or by {port} in egress.ports"
            )
        if not isinstance(host, str):
            self.vet(str(host), port, [str(host)])
        return url

    def vet(self, text: str, port: int, found: Iterable[str]) -> list[str]:
        """Return those of the addresses ``found`` for a host that may be dialled; at least one.

        Raises:
            EgressRefusedError: there is none, and what would have to be set.
        """
        host = parse_host(text)
        refusals: dict[str, Kind] = {}
        vetted = []
        for address in found:
            refusal = self._refusal(ip_address(address), host, is_named=self._is_named(host, port))
            if refusal is None:
                vetted.append(address)
            else:
                refusals[address] = refusal
        if vetted:
            return vetted
        told = ", ".join(f"{address} ({kind})" for address, kind in sorted(refusals.items())[:8]) or "none"
        raise EgressRefusedError(
            f"no request is sent to {_spelled(host, port)}: of its addresses no one may be dialled: {told}; "
            f"allow {'an address or its network' if _is_never(refusals) else 'it, an address or its network'} "
            "in egress.allow"
        )

    def _is_named(self, host: Host, port: int) -> bool:
        return Server(host, port) in self.servers or (port in self.ports and Server(host) in self.servers)

    def _refusal(self, address: Address, host: Host, *, is_named: bool) -> Kind | None:
        """Return the kind of address for which this one is refused; None: it may be dialled."""
        if is_named and address == host:
            return None
        kind = kind_of(address)
        if kind is None or any(address in network for network in self.networks):
            allowed = True
        else:
            allowed = is_named and kind not in NEVER_BY_NAME
        inner = embedded(address)
        if not allowed or inner is None:
            return None if allowed else kind
        return self._refusal(inner, host, is_named=is_named)


def _spelled(host: Host, port: int) -> str:
    return f"{host}:{port}" if isinstance(host, str) or host.version == 4 else f"[{host}]:{port}"


def _is_never(refusals: dict[str, Kind]) -> bool:
    return bool(refusals) and NEVER_BY_NAME.issuperset(refusals.values())
