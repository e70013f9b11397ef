"""What kind of address an IP address is, by the special-purpose address registries of IANA (RFC 6890, RFC 8190).

Of IPv6, what is not in the global unicast block 2000::/3 is no server's unless a line of its own names it.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, Literal

from towline.net.egress.hosts import Address

Network = IPv4Network | IPv6Network

Kind = Literal[
    "unspecified",
    "loopback",
    "link-local",
    "multicast",
    "metadata",
    "private",
    "shared",
    "site-local",
    "reserved",
    "IPv4-mapped",
    "IPv4-compatible",
    "NAT64",
    "6to4",
    "Teredo",
]
"""Kinds of addresses that are not simply public. ``metadata``: where machines of a cloud are told their credentials."""

#: What no server has that anybody means to name: only a setting that spells the address or network opens it.
NEVER_BY_NAME: Final[frozenset[Kind]] = frozenset({"unspecified", "link-local", "multicast", "metadata"})

_KINDS: Final[dict[Kind, tuple[str, ...]]] = {
    # AWS, Google, Alibaba, Oracle and Azure, as far as it is not the usual link-local address.
    "metadata": ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    "unspecified": ("0.0.0.0/8", "::"),
    "loopback": ("127.0.0.0/8", "::1"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    "shared": ("100.64.0.0/10",),
    "site-local": ("fec0::/10",),
    "IPv4-mapped": ("::ffff:0:0/96",),
    "IPv4-compatible": ("::/96",),
    "NAT64": ("64:ff9b::/96",),
    "6to4": ("2002::/16", "192.88.99.0/24"),
    "Teredo": ("2001::/32",),
    "reserved": (
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
    ),
}

#: By version; the first that holds an address counts, so the narrow ones are before those around them.
_NETWORKS: Final[dict[int, list[tuple[Network, Kind]]]] = {4: [], 6: []}
for _kind, _texts in _KINDS.items():
    for _text in _texts:
        _network = ip_network(_text)
        _NETWORKS[_network.version].append((_network, _kind))

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")


def kind_of(address: Address) -> Kind | None:
    """Return what is special about an address; None: it is public."""
    for network, kind in _NETWORKS[address.version]:
        if address in network:
            return kind
    return "reserved" if address.version == 6 and address not in _GLOBAL_UNICAST else None


def embedded(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that packets to ``address`` end at, when it is one of the kinds that wrap one."""
    if isinstance(address, IPv4Address):
        return None
    match kind_of(address):
        case "IPv4-mapped" | "IPv4-compatible" | "NAT64":
            return _last(address)
        case "6to4":
            return address.sixtofour
        case "Teredo":
            return address.teredo[1] if address.teredo else None
        case _:
            return None


def _last(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)
