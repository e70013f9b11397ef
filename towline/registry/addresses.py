"""Addresses that a server gives us: of redirects, uploads, pages and token services. None of them is trusted."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpx

from towline.registry.errors import ProtocolError, RedirectRefusedError

_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
#: What ends in a number is an IPv4 address to resolvers, in more forms than one: 127.1, 0x7f000001, 017700000001.
_NUMBER_AT_ITS_END: Final = re.compile(r"(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$", re.IGNORECASE)

#: Networks whose addresses wrap an IPv4 address: NAT64, and 6to4 with it after 16 bits.
_NAT64: Final = IPv6Network("64:ff9b::/96")

#: Where machines of a cloud are told their credentials, beside the link-local addresses.
_METADATA: Final = ip_address("fd00:ec2::254")

Address = IPv4Address | IPv6Address


def address_at(here: httpx.URL, text: str, what: str, *, status: int | None = None) -> httpx.URL:
    """Return the address that ``text`` points to, given by the server at ``here``; it may be relative.

    A server may send us to another host, but not from HTTPS to plain HTTP, not to the machine that we run on unless it
    runs there too, and not to where machines of a cloud are told their credentials.

    Raises:
        ProtocolError: it is no HTTP address that could be asked.
        RedirectRefusedError: it is one that must not be.
    """
    try:
        target = here.join(text)
        host = _host(target.host)
    except (httpx.InvalidURL, ValueError):
        raise ProtocolError(f"{what}: no usable address", url=str(here), status=status) from None
    if target.scheme not in {"http", "https"} or target.port == 0 or (target.port or 0) > 65535:
        raise ProtocolError(f"{what}: the address is no HTTP address", url=str(here), status=status)
    if here.scheme == "https" and target.scheme != "https":
        raise RedirectRefusedError(f"{what}: from HTTPS to plain HTTP", url=str(target), status=status)
    if target.host != here.host and not isinstance(host, str):
        _check(host, here, target, what, status)
    if isinstance(host, str) and host.rstrip(".") == "localhost" and not _is_loopback(here):
        raise RedirectRefusedError(f"{what}: to this machine", url=str(target), status=status)
    # User information would become an Authorization header that nobody gave us.
    return target.copy_with(username="", password="") if target.userinfo else target


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, and no name."""
    try:
        return not isinstance(_host(host), str)
    except ValueError:
        return False


def _host(host: str) -> str | Address:
    try:
        return ip_address(host)
    except ValueError:
        if _NAME.fullmatch(host) is None or _NUMBER_AT_ITS_END.search(host):
            raise
    return host.lower()


def _check(host: Address, here: httpx.URL, target: httpx.URL, what: str, status: int | None) -> None:
    plain = _unwrapped(host)
    if plain.is_link_local or plain.is_unspecified or plain.is_multicast or plain == _METADATA:
        raise RedirectRefusedError(f"{what}: to an address that is no registry's", url=str(target), status=status)
    if plain.is_loopback and not _is_loopback(here):
        raise RedirectRefusedError(f"{what}: to this machine", url=str(target), status=status)


def _unwrapped(host: Address) -> Address:
    if isinstance(host, IPv4Address):
        return host
    if host in _NAT64:
        return IPv4Address(int(host) & 0xFFFFFFFF)
    return host.ipv4_mapped or host.sixtofour or host


def _is_loopback(url: httpx.URL) -> bool:
    try:
        host = _host(url.host)
    except ValueError:
        return False
    return host.rstrip(".") == "localhost" if isinstance(host, str) else _unwrapped(host).is_loopback
