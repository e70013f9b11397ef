"""``towline event``."""

import re
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import orjson
import typer

from schemas.catalogue import encode, type_of
from schemas.envelope import Envelope
from schemas.instants import format_instant
from schemas.references import Frozen
from streams.arrival import arrived_at
from streams.cli.inputs import AsJson, read_file
from streams.cli.output import note, print_json, run, say
from streams.inbound import DIALECT_HEADER, REGISTRY_HEADER, events_from_record
from streams.kafka_log import KafkaLog
from streams.log import Append, Headers, LogRecord
from streams.redelivery import event_again, inbound_again
from streams.routing import event_append
from streams.topics import INBOUND
from towline.errors import MisuseError
from towline.settings import load_settings

#: Up to 18 digits: more than there are offsets.
_PLACE: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,18})")
_EVENT_ID: Final = re.compile(r"[a-f0-9]{64}")

app = typer.Typer(help="Tell Towline that something was pushed.", no_args_is_help=True)


@app.command("publish")
def publish(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help='A body, or {"headers": ..., "body": ...}; - for standard input.')
    ],
    dialect: Annotated[
        str, typer.Option(help="How the body is written, such as cloudevents, distribution, harbor, ecr.")
    ] = "cloudevents",
    registry: Annotated[
        str | None, typer.Option(help="The registry that it speaks for, where the dialect does not say.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the events, publish nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Publish what a registry would have sent, through `towline.inbound`."""
    run(_publish(file, dialect, registry, dry_run, as_json))


async def _publish(file: str, dialect: str, registry: str | None, dry_run: bool, as_json: bool) -> None:
    headers, body = _parts(read_file(file))
    headers = (*headers, (DIALECT_HEADER, dialect.encode()))
    if registry is not None:
        headers = (*headers, (REGISTRY_HEADER, registry.encode()))
    record = LogRecord(INBOUND, 0, 0, None, body, headers, time.time_ns() // 1_000_000)
    # Read it here first: a mistake is told at once instead of becoming a dead letter.
    events = events_from_record(record, arrived_at(record))
    if not dry_run:
        async with KafkaLog(load_settings().kafka) as log:
            position = await log.append(Append(INBOUND, _key(events), body, headers=headers))
        note(f"published to {position}")
    _print(events, as_json, dry_run)


@app.command("replay-delivery")
def replay_delivery(
    delivery: Annotated[
        str,
        typer.Argument(
            metavar="DELIVERY",
            help="PARTITION/OFFSET in `towline.inbound`, or the id of an event, such as the answer to a webhook has.",
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send a stored delivery through again; what it told is not decided twice.

    A tag that had many events since, or a sender that does not name what it delivers, would have an old image taken
    for a new one: then the registry is asked what the tag has now.
    """
    run(_replay_delivery(delivery, dry_run, as_json))


async def _replay_delivery(delivery: str, dry_run: bool, as_json: bool) -> None:
    now = format_instant(datetime.now(UTC))
    async with KafkaLog(load_settings().kafka) as log:
        if (place := _PLACE.fullmatch(delivery)) is not None:
            again = await inbound_again(log, int(place[1]), int(place[2]), now)
        elif _EVENT_ID.fullmatch(delivery) is not None:
            again = await event_again(log, delivery, now)
        else:
            raise MisuseError(f"{delivery!r} is neither PARTITION/OFFSET nor the id of an event")
        places = [] if dry_run else [str(place) for place in await log.append_all(again.appends)]
    told = [{"type": type_of(event.data), "id": event.id, "subject": event.subject} for event in again.events]
    if as_json:
        print_json({"sent": "hints" if again.instead else "delivery", "why": again.instead, "to": places, "told": told})
        return
    for event in told:
        say(f"{event['type']} {event['subject']}")
    if again.instead:
        note(f"{again.instead}: its registry is asked what the tag has now")
    note("nothing was sent" if dry_run else f"sent to {', '.join(places)}")


def _key(events: list[Envelope[Frozen]]) -> bytes:
    return (event_append(events[0]).key if events else None) or b"towline"


def _print(events: list[Envelope[Frozen]], as_json: bool, dry_run: bool) -> None:
    if as_json or dry_run:
        for event in events:
            print_json(orjson.Fragment(encode(event)))
    else:
        for event in events:
            say(f"{type_of(event.data)} {event.subject}")
    if not events:
        note("it tells of no tag that was pushed or deleted: no event follows from it")


def _parts(content: bytes) -> tuple[Headers, bytes]:
    """Return headers and body of a file, which is a body alone or both."""
    try:
        loaded: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return (), content
    # Recorded deliveries carry remarks under names with an underscore.
    names = {name for name in loaded if not name.startswith("_")} if isinstance(loaded, dict) else set()
    if "body" not in names or names - {"headers", "body"}:
        return (), content
    headers = loaded.get("headers", {})
    if not isinstance(headers, dict):
        raise MisuseError("headers must be an object of names and texts")
    pairs = tuple((str(name).lower(), str(value).encode()) for name, value in headers.items())
    return pairs, orjson.dumps(loaded["body"])
