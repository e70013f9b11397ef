"""Allowances for what tests serve on this machine."""

from urllib.parse import urlsplit

from towline.settings import EgressSettings


def allowing(*urls: str) -> EgressSettings:
    """Return settings that allow the hosts and ports of ``urls``, and nothing else that is not open to all."""
    return EgressSettings(allow=tuple(urlsplit(url).netloc for url in urls))
