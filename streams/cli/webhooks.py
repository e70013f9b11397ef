"""``towline webhook apply``, ``list`` and ``show``: what has to do with the subscriptions in force."""

import yaml

from schemas.webhooks import SubscriptionSet
from streams.cli.inputs import AsJson, actor, read_text
from streams.cli.output import FINDING, print_json, print_table, progress_bar, run, say
from streams.cli.publishing import Replaces, Timeout, published
from streams.cli.webhook_check import SubscriptionFile
from streams.kafka_log import KafkaLog
from streams.subscriptions import InForce, Status, publish_subscriptions, statuses, subscriptions_in_force
from towline.notify.document import read_subscriptions
from towline.settings import load_settings


def apply(
    file: SubscriptionFile, replaces: Replaces = None, timeout_seconds: Timeout = 30.0, as_json: AsJson = False
) -> None:
    """Bring a file of subscriptions into force, in place of all before. Returns when every partition has it.

    Subscriptions that had become inactive are told again, unless the file has them as inactive.
    """
    run(_apply(file, replaces, timeout_seconds, as_json))


async def _apply(file: str, replaces: int | None, timeout_seconds: float, as_json: bool) -> int:
    settings = load_settings()
    subscriptions = read_subscriptions(read_text(file), settings.receivers, settings.registries, file)
    async with KafkaLog(settings.kafka) as log:
        base = (await subscriptions_in_force(log)).revision if replaces is None else replaces
        return await _publish(log, subscriptions, base, timeout_seconds, as_json)


async def _publish(
    log: KafkaLog, subscriptions: SubscriptionSet, base: int, timeout_seconds: float, as_json: bool
) -> int:
    revision = await published(
        log,
        lambda progress: publish_subscriptions(
            log, subscriptions, replaces=base, actor=actor(), timeout_seconds=timeout_seconds, progress=progress
        ),
    )
    if revision is None:
        return FINDING
    count = len(subscriptions.subscriptions)
    if as_json:
        print_json({"revision": revision, "replaces": base, "subscriptions": count})
    else:
        say(f"revision {revision} is in force in every partition: {count} subscriptions")
    return 0


def list_(as_json: AsJson = False) -> None:
    """List the subscriptions in force, and how telling their receivers goes."""
    run(_list(as_json))


async def _list(as_json: bool) -> int:
    async with KafkaLog(load_settings().kafka) as log:
        found = await subscriptions_in_force(log)
        with progress_bar() as bar:
            task = bar.add_task("reading the log", total=None)
            rows = await statuses(
                log, found.subscriptions, lambda done, total: bar.update(task, completed=done, total=total)
            )
    if as_json:
        print_json({"revision": found.revision, "subscriptions": rows})
    else:
        _say_statuses(found, rows)
    return 0


def _say_statuses(found: InForce, rows: list[Status]) -> None:
    say(_heading(found))
    print_table(
        (
            "SUBSCRIPTION",
            "RECEIVER",
            "REPOSITORY",
            "EVENTS",
            "FORMAT",
            "LAST SUCCESS",
            "LAST FAILURE",
            "DELIVERED",
            "FAILED",
            "WAITING",
            "STATE",
        ),
        [_row(row) for row in rows],
    )
    for row in rows:
        one = row.subscription
        if one.inactive is not None:
            say(f"{one.name}: inactive: {one.inactive}; `towline webhook apply` begins anew")
        elif row.last_failure is not None and row.last_failure.time > (row.last_success or ""):
            say(f"{one.name}: {row.last_failure.cause}: {row.last_failure.detail}")


def _row(row: Status) -> tuple[object, ...]:
    one = row.subscription
    return (
        one.name,
        one.receiver,
        one.repository or "all",
        ",".join(one.events),
        one.format,
        row.last_success or "never",
        "never" if row.last_failure is None else row.last_failure.time,
        row.delivered,
        row.failed,
        row.waiting,
        "active" if one.inactive is None else "inactive",
    )


def show(as_json: AsJson = False) -> None:
    """Print the subscriptions in force, as a file to apply."""
    run(_show(as_json))


async def _show(as_json: bool) -> int:
    async with KafkaLog(load_settings().kafka) as log:
        found = await subscriptions_in_force(log)
    if as_json:
        print_json({"revision": found.revision, "subscriptions": found.subscriptions.subscriptions})
        return 0
    say(f"# {_heading(found)}")
    members = [one.model_dump(mode="json", exclude_defaults=True) for one in found.subscriptions.subscriptions]
    say(yaml.safe_dump({"subscriptions": members}, sort_keys=False, allow_unicode=True).rstrip())
    return 0


def _heading(found: InForce) -> str:
    by = f", published {found.published.time} by {found.published.data.actor}" if found.published else ""
    return f"revision {found.revision}{by}"
