"""``towline webhook test``: one signed sample, now, and what the receiver answers."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from schemas.canonical import content_id
from schemas.catalogue import encode
from schemas.examples import EXAMPLES
from schemas.instants import format_instant
from streams.cli.inputs import AsJson
from streams.cli.output import FINDING, INFRASTRUCTURE, print_json, run, say
from towline.errors import MisuseError
from towline.net.egress.guard import Egress
from towline.receivers.sending import Attempt, Receivers
from towline.settings import Settings, load_settings

#: What is shown of the answer's body.
_SHOWN_CHARACTERS = 500

_CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    """What is sent."""

    receiver: str
    id: str
    content_type: str
    body: bytes


def send_sample(
    name: Annotated[str, typer.Argument(metavar="RECEIVER", help="A receiver of the settings.")],
    type_: Annotated[str, typer.Option("--type", help="Of which type the event is that is told.")] = "image.pushed",
    as_json: AsJson = False,
) -> None:
    """Send one signed sample to a receiver now, and show what it answers.

    Exits with 1 when the receiver refuses it, with 3 when it cannot be reached.
    """
    run(_send_sample(name, type_, as_json))


async def _send_sample(name: str, type_: str, as_json: bool) -> int:
    settings = load_settings()
    sample = _sample(settings, name, type_)
    begun = time.monotonic()
    async with Receivers(settings.receivers, Egress.of(settings.egress)) as receivers:
        attempt = await receivers.send(sample.receiver, sample.id, sample.content_type, sample.body)
    seconds = time.monotonic() - begun
    if attempt.cause == "misconfigured":
        raise MisuseError(attempt.detail)
    shown = attempt.body.decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
    if as_json:
        print_json(
            {
                "receiver": sample.receiver,
                "webhook_id": sample.id,
                "cause": attempt.cause,
                "status_code": attempt.status_code,
                "seconds": round(seconds, 3),
                "detail": attempt.detail,
                "answer": shown,
            }
        )
    else:
        say(f"{sample.receiver}: {attempt.cause}: {attempt.detail}, after {seconds:.3f} seconds")
        say(f"webhook-id: {sample.id}")
        for line in shown.splitlines():
            say(f"  {line}")
    return _exit_code(attempt)


def _sample(settings: Settings, name: str, type_: str) -> Sample:
    if name not in settings.receivers:
        known = ", ".join(sorted(settings.receivers)) or "none"
        raise MisuseError(f"{name}: not in the settings; known receivers are: {known}")
    example = EXAMPLES.get(type_)
    if example is None:
        raise MisuseError(f"{type_!r} is no type; one of {', '.join(sorted(EXAMPLES))}")
    now = format_instant(datetime.now(UTC))
    return Sample(name, content_id("webhook.test", name, now), _CONTENT_TYPE, encode(example))


def _exit_code(attempt: Attempt) -> int:
    if attempt.cause == "delivered":
        return 0
    return INFRASTRUCTURE if attempt.cause in {"unreachable", "egress-refused"} else FINDING
