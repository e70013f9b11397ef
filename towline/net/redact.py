"""URLs as they may be printed: signed URLs arrive by redirect, so only known parameters keep their values."""

from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

#: Query parameters of the distribution and token protocols that carry no secret.
PRINTABLE_PARAMETERS: Final = frozenset({"digest", "from", "mount", "n", "last", "artifactType", "scope", "service"})

MASK: Final = "***"


def redact_url(url: str) -> str:
    """Return ``url`` without user information and fragment, every parameter masked that is not known to be harmless.

    A text that is no URL is masked as a whole: nothing is known about what it holds.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return MASK
    query = "&".join(_parameter(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((parts.scheme, f"[{host}]{port}" if ":" in host else f"{host}{port}", parts.path, query, ""))


def _parameter(name: str, value: str) -> str:
    shown = quote(value, safe=":/,") if name in PRINTABLE_PARAMETERS else MASK
    return f"{quote(name, safe='')}={shown}"
