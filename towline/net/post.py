"""Delivering one JSON document to an address."""

from collections.abc import Mapping
from typing import Any

import orjson

from towline.errors import InfrastructureError
from towline.net.http import TRANSPORT_ERRORS, open_http
from towline.net.redact import redact_url


class DeliveryError(InfrastructureError):
    """The receiver could not be reached, or did not answer 2xx. Sending the same again may succeed."""

    retryable = True


async def post_json(url: str, body: Any, headers: Mapping[str, str]) -> None:
    """POST ``body`` as JSON; ``headers`` may replace the content type. A redirect counts as a failure.

    Raises:
        DeliveryError: no connection, or an answer other than 2xx.
    """
    async with open_http() as http:
        try:
            chosen = {"content-type": "application/json"} | {name.lower(): value for name, value in headers.items()}
            response = await http.post(url, content=orjson.dumps(body), headers=chosen)
        except TRANSPORT_ERRORS as error:
            raise DeliveryError(f"POST {redact_url(url)}: {type(error).__name__}") from error
    if not response.is_success:
        raise DeliveryError(f"POST {redact_url(url)}: answered {response.status_code}")
