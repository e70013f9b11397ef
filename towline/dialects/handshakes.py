"""The question that CloudEvents senders ask before they send: "HTTP 1.1 Web Hooks for Event Delivery", section 4
(https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md)."""

import re
from collections.abc import Mapping
from typing import Final

from towline.dialects.delivery import Handshake
from towline.dialects.reasons import shown
from towline.errors import UnusableInputError

#: A host name, as the specification has it: no scheme, no path, and nothing that ends a header.
_ORIGIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")


def answer_options(headers: Mapping[str, str]) -> Handshake:
    """Return the answer to an OPTIONS request; names of ``headers`` are in lower case.

    The answer allows what is asked for, at any rate: too much is refused when it comes. An address to call back, which
    the sender may give, is not called.

    Raises:
        UnusableInputError: the request does not say who wants to send.
    """
    origin = headers.get("webhook-request-origin")
    if origin is None or _ORIGIN.fullmatch(origin) is None:
        raise UnusableInputError(f"WebHook-Request-Origin: {shown(origin or '')} is no host name")
    allowed = [("Allow", "POST"), ("WebHook-Allowed-Origin", origin)]
    if "webhook-request-rate" in headers:
        allowed.append(("WebHook-Allowed-Rate", "*"))
    return Handshake(subject=origin, headers=tuple(allowed))
