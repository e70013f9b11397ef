"""Addresses that a server gives us: of redirects, uploads, pages and token services. None of them is trusted.

Whether anything may be sent to one is judged when it is sent (:mod:`towline.net.egress.guard`).
"""

import httpx

from towline.net.egress.hosts import parse_host
from towline.registry.errors import ProtocolError, RedirectRefusedError


def address_at(here: httpx.URL, text: str, what: str, *, status: int | None = None) -> httpx.URL:
    """Return the address that ``text`` points to, given by the server at ``here``; it may be relative.

    A server may send us to another host, but not from HTTPS to plain HTTP.

    Raises:
        ProtocolError: it is no HTTP address that could be asked.
        RedirectRefusedError: it is one that must not be.
    """
    try:
        target = here.join(text)
        if (target.scheme, target.netloc, target.userinfo) == (here.scheme, here.netloc, b""):
            return target  # Where we are already, as nearly every upload is.
        parse_host(target.host)
    except (httpx.InvalidURL, ValueError):
        raise ProtocolError(f"{what}: no usable address", url=str(here), status=status) from None
    if target.scheme not in {"http", "https"} or target.port == 0 or (target.port or 0) > 65535:
        raise ProtocolError(f"{what}: the address is no HTTP address", url=str(here), status=status)
    if here.scheme == "https" and target.scheme != "https":
        raise RedirectRefusedError(f"{what}: from HTTPS to plain HTTP", url=str(target), status=status)
    # User information would become an Authorization header that nobody gave us.
    return target.copy_with(username="", password="") if target.userinfo else target


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, and no name."""
    try:
        return not isinstance(parse_host(host), str)
    except ValueError:
        return False
