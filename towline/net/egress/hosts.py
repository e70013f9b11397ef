"""What may stand for a host in an address: an IP address in its usual spelling, or a name."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
#: What ends in a number is an IPv4 address to resolvers, in more forms than one: 127.1, 0x7f000001, 017700000001.
_NUMBER_AT_ITS_END: Final = re.compile(r"(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$", re.IGNORECASE)

Address = IPv4Address | IPv6Address
Host = str | Address


# Every request has a host, mostly the same one, and to find out what it is costs more than the rest of its judgement.
@lru_cache(maxsize=1024)
def parse_host(text: str) -> Host:
    """Return the host that ``text`` is, without brackets: an address, or a name in lower case without a last dot.

    Raises:
        ValueError: it is none, or one of the spellings that a library below would take for some address.
    """
    try:
        return ip_address(text)
    except ValueError:
        if _NAME.fullmatch(text) is None or _NUMBER_AT_ITS_END.search(text):
            raise
    return text.lower().rstrip(".")
