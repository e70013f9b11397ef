"""What a receiver is sent, to the byte, in the format that its subscription asks for."""

from typing import Any, Final, NamedTuple

import orjson

from schemas.canonical import canonical_bytes
from schemas.catalogue import encode
from schemas.envelope import Envelope
from schemas.webhooks import BODY_MAX, Subscription
from towline.notify.causes import Cause
from towline.notify.dtr import envelope_of
from towline.notify.text import render

CLOUDEVENTS: Final = "application/cloudevents+json; charset=utf-8"
JSON: Final = "application/json; charset=utf-8"

#: How much of a text is sent of a record that is too large as it is.
_CUT_LENGTH: Final = 512
_NOTE: Final = "too large for a webhook: what is omitted is in the log, under this id"


class Body(NamedTuple):
    """A body with its media type."""

    content_type: str
    text: str


class Bodies:
    """The bodies that tell of one cause; those that are alike for many subscriptions are made once."""

    def __init__(self, cause: Cause) -> None:
        self._cause = cause
        self._made: dict[str, Body | None] = {}

    def of(self, subscription: Subscription) -> Body | None:
        """Return what this subscription is sent; None when its format has no word for the cause."""
        if subscription.format == "text":
            return Body(JSON, _json({"text": render(subscription.template or "", self._cause)}))
        if subscription.format not in self._made:
            self._made[subscription.format] = (
                _cloudevent(self._cause.record) if subscription.format == "cloudevents" else _dtr(self._cause)
            )
        return self._made[subscription.format]


def _cloudevent(record: Envelope[Any]) -> Body:
    value = encode(record)
    text = value.decode()
    return Body(CLOUDEVENTS, text if len(text) <= BODY_MAX else _reduced(value))


def _reduced(value: bytes) -> str:
    """Return a record with what identifies it, and a note on what is not there."""
    whole = orjson.loads(value)
    members = whole["data"]
    kept = {
        name: member[:_CUT_LENGTH] if isinstance(member, str) else member
        for name, member in members.items()
        if not isinstance(member, dict | list)
    }
    omitted = sorted(name for name, member in members.items() if kept.get(name) != member)
    return _json({**whole, "data": {**kept, "omitted": omitted, "note": _NOTE}})


def _dtr(cause: Cause) -> Body | None:
    envelope = envelope_of(cause)
    return None if envelope is None else Body(JSON, _json(envelope))


def _json(value: Any) -> str:
    return canonical_bytes(value).decode()
