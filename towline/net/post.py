"""Delivering one JSON document to an address."""

from collections.abc import Mapping
from typing import Any

import orjson

from towline.errors import InfrastructureError
from towline.net.egress.client import GuardedClient, RequestError
from towline.net.egress.guard import Egress
from towline.net.redact import redact_url


class DeliveryError(InfrastructureError):
    """The receiver could not be reached, or did not answer 2xx. Sending the same again may succeed."""

    retryable = True


async def post_json(url: str, body: Any, headers: Mapping[str, str], egress: Egress) -> None:
    """POST ``body`` as JSON; ``headers`` may replace the content type. A redirect counts as a failure.

    Raises:
        DeliveryError: no connection, or an answer other than 2xx.
        EgressRefusedError: ``egress`` lets nothing be sent to ``url``.
    """
    chosen = {"content-type": "application/json"} | {name.lower(): value for name, value in headers.items()}
    async with GuardedClient(egress) as client:
        try:
            reply = await client.send("POST", url, content=orjson.dumps(body), headers=chosen)
        except RequestError as error:
            raise DeliveryError(str(error)) from error
    if not 200 <= reply.status < 300:
        raise DeliveryError(f"POST {redact_url(url)}: answered {reply.status}")
