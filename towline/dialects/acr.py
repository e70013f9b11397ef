"""Events of Azure Container Registry, by its webhooks and by Event Grid.

https://learn.microsoft.com/azure/container-registry/container-registry-webhook-reference and
https://learn.microsoft.com/azure/event-grid/event-schema-container-registry. Both carry an event in the form of CNCF
distribution; Event Grid wraps it in its own schema or in CloudEvents, and asks first if it may send.
"""

import json
import re
from typing import Annotated, Any, Final

from pydantic import Field

from towline import limits
from towline.dialects.delivery import Delivery, Handshake, Translation
from towline.dialects.distribution import PATHS, RegistryEvent, tell
from towline.dialects.jsonbytes import read_json
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted, shown
from towline.dialects.telling import Telling, at, only_handshake
from towline.errors import UnusableInputError

_VALIDATION: Final = "Microsoft.EventGrid.SubscriptionValidationEvent"
_DELETION: Final = "Microsoft.EventGrid.SubscriptionDeletedEvent"
_PREFIX: Final = "Microsoft.ContainerRegistry."

_CODE: Final = re.compile(r"[A-Za-z0-9-]{1,128}")

_PASSED: Final = {
    "ping": "a test of the webhook",
    "quarantine": "an image in quarantine cannot be had; it is pushed when it leaves",
    "chart_push": "a chart in the old form is no image",
    "chart_delete": "a chart in the old form is no image",
}


class _GridEvent(Part):
    id: Annotated[str, Field(min_length=1)]
    #: ``eventType`` in Event Grid's own schema, ``type`` in CloudEvents.
    event_type: Annotated[str | None, Field(alias="eventType")] = None
    cloud_type: Annotated[str | None, Field(alias="type")] = None
    #: The Azure resource that the event is about.
    topic: str = ""
    data: dict[str, Any]


class _Question(Part):
    code: Annotated[str, Field(alias="validationCode")]


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the tags that were pushed and what was deleted; or the question of Event Grid.

    Raises:
        UnusableInputError: no registry is given, the body is neither of the forms, or one of its events cannot be used.
    """
    telling = Telling("acr", registry, PATHS)
    value = read_json(delivery.body, limits.hook_body_bytes)
    if isinstance(value, dict) and "action" in value:
        event = fitted(RegistryEvent, value)
        if event.action not in {"push", "delete", *_PASSED}:
            known = ", ".join(sorted({"push", "delete", *_PASSED}))
            raise UnusableInputError(f"action: {shown(event.action)} is unknown; known are {known}")
        _tell(telling, event, event.id, "")
        return telling.translation()
    raw_events = value if isinstance(value, list) else [value]
    events = [fitted(_GridEvent, raw, str(number)) for number, raw in enumerate(raw_events)]
    if any(event.event_type == _VALIDATION for event in events):
        return only_handshake(_handshake(events))
    for number, grid in enumerate(events):
        _tell_grid(telling, grid, str(number))
    return telling.translation()


def _handshake(events: list[_GridEvent]) -> Handshake:
    if len(events) != 1:
        raise UnusableInputError("the question if events are wanted comes alone")
    code = fitted(_Question, events[0].data, "0.data").code
    if _CODE.fullmatch(code) is None:
        raise UnusableInputError(f"0.data.validationCode: {shown(code)} is no code of Event Grid")
    answer = json.dumps({"validationResponse": code}).encode()
    return Handshake(events[0].topic, answer, (("Content-Type", "application/json"),))


def _tell_grid(telling: Telling, grid: _GridEvent, path: str) -> None:
    kind = grid.event_type or grid.cloud_type or ""
    if kind == _DELETION:
        telling.passed(path, "the subscription ends")
    elif kind.removeprefix(_PREFIX) in {"ChartPushed", "ChartDeleted"}:
        telling.passed(path, _PASSED["chart_push"])
    elif kind.removeprefix(_PREFIX) in {"ImagePushed", "ImageDeleted"}:
        place = at(path, "data")
        # Event Grid repeats its own id, and wraps one event once.
        _tell(telling, fitted(RegistryEvent, grid.data, place), grid.id, place)
    elif kind.startswith(_PREFIX):
        # What is new there must not hold up what came along with it.
        telling.passed(path, f"type {shown(kind)} neither pushes nor deletes")
    else:
        raise UnusableInputError(f"{path}: type {shown(kind)} is none of Azure Container Registry's")


def _tell(telling: Telling, event: RegistryEvent, key: str, path: str) -> None:
    if event.action in _PASSED:
        telling.passed(path, _PASSED[event.action])
    else:
        tell(telling, event, key, path)
