"""``towline webhook test``: one signed sample, now, and what the receiver answers."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, cast, get_args

import typer

from schemas.canonical import content_id
from schemas.examples import EXAMPLES
from schemas.instants import format_instant
from schemas.webhooks import Notified, Subscription
from streams.cli.inputs import AsJson
from streams.cli.output import FINDING, INFRASTRUCTURE, print_json, run, say
from streams.kafka_log import KafkaLog
from streams.subscriptions import subscriptions_in_force
from towline.errors import MisuseError
from towline.net.egress.guard import Egress
from towline.notify.bodies import Bodies
from towline.notify.causes import Cause
from towline.receivers.sending import Attempt, Receivers
from towline.settings import Settings, load_settings

#: What is shown of the answer's body.
_SHOWN_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Sample:
    """What is sent."""

    receiver: str
    id: str
    content_type: str
    body: bytes


def send_sample(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A receiver of the settings, or a subscription in force.")
    ],
    type_: Annotated[
        str | None, typer.Option("--type", help="What is told, such as transfer.completed or decision.deny.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send one signed sample to a receiver now, and show what it answers.

    To a subscription's receiver goes what that subscription would be told, in its format.

    Exits with 1 when the receiver refuses it, with 3 when it cannot be reached.
    """
    run(_send_sample(name, type_, as_json))


async def _send_sample(name: str, type_: str | None, as_json: bool) -> int:
    settings = load_settings()
    sample = await _sample(settings, name, type_)
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


async def _sample(settings: Settings, name: str, type_: str | None) -> Sample:
    subscription = await _subscription(settings, name, type_)
    told = subscription.events[0] if type_ is None else _notified(type_)
    body = Bodies(_example_of(told)).of(subscription)
    if body is None:
        raise MisuseError(f"format {subscription.format} has no word for {told}")
    now = format_instant(datetime.now(UTC))
    id_ = content_id("webhook.test", subscription.name, now)
    return Sample(subscription.receiver, id_, body.content_type, body.text.encode())


async def _subscription(settings: Settings, name: str, type_: str | None) -> Subscription:
    """Return the subscription of this name; of a receiver, one that has nothing special."""
    if name in settings.receivers:
        return Subscription(name=name, receiver=name, events=(_notified(type_ or "image.pushed"),))
    in_force = await _in_force(settings)
    for subscription in in_force:
        if subscription.name == name:
            return subscription
    known = ", ".join(sorted({*settings.receivers, *(one.name for one in in_force)})) or "none"
    raise MisuseError(f"{name!r} is no receiver of the settings and no subscription in force; there are: {known}")


async def _in_force(settings: Settings) -> tuple[Subscription, ...]:
    if settings.kafka.bootstrap is None:
        return ()  # Receivers can be tried before there is a broker.
    async with KafkaLog(settings.kafka) as log:
        return (await subscriptions_in_force(log)).subscriptions.subscriptions


def _notified(type_: str) -> Notified:
    if type_ not in get_args(Notified):
        raise MisuseError(f"{type_!r} is nothing that webhooks tell of; one of {', '.join(get_args(Notified))}")
    return cast("Notified", type_)


def _example_of(told: Notified) -> Cause:
    kind, _, verdict = told.partition(".")
    if kind != "decision":
        return Cause(told, EXAMPLES[told], ())
    decision = EXAMPLES["decision.made"]
    return Cause(told, replace(decision, data=decision.data.model_copy(update={"verdict": verdict})), ())


def _exit_code(attempt: Attempt) -> int:
    if attempt.cause == "delivered":
        return 0
    return INFRASTRUCTURE if attempt.cause in {"unreachable", "egress-refused"} else FINDING
