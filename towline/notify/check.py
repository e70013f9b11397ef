"""What is wrong with a set of subscriptions that fits its shape."""

from collections.abc import Collection, Iterator
from typing import Final

from schemas.webhooks import Subscription, SubscriptionSet
from towline.notify.dtr import TYPED
from towline.notify.text import problems_in_template
from towline.policy.check.problem import Path, Problem

_LIST: Final = "subscriptions"


def problems_of(
    subscriptions: SubscriptionSet, receivers: Collection[str] | None, registries: Collection[str] | None
) -> list[Problem]:
    """Return everything that is wrong with a set, given the names in the settings; None: any name will do."""
    return [*_problems(subscriptions, receivers, registries)]


def _problems(
    subscriptions: SubscriptionSet, receivers: Collection[str] | None, registries: Collection[str] | None
) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for number, one in enumerate(subscriptions.subscriptions):
        path = (_LIST, number)
        if one.name in first:
            yield Problem((*path, "name"), f"{one.name!r} is the name of {_LIST}.{first[one.name]} already")
        first.setdefault(one.name, number)
        if receivers is not None and one.receiver not in receivers:
            yield Problem((*path, "receiver"), _unknown("receiver", one.receiver, receivers))
        if one.repository is not None and registries is not None and one.repository.registry not in registries:
            text = f"{_unknown('registry', one.repository.registry, registries)}, so nothing of it is ever told"
            yield Problem((*path, "repository"), text)
        yield from _bad_events(one, path)
        yield from _bad_template(one, path)


def _unknown(kind: str, name: str, known: Collection[str]) -> str:
    return f"there is no {kind} {name!r} in the settings (known: {', '.join(sorted(known)) or 'none'})"


def _bad_events(one: Subscription, path: Path) -> Iterator[Problem]:
    for number, name in enumerate(one.events):
        if name in one.events[:number]:
            yield Problem((*path, "events", number), f"{name} is there already")
        elif one.format == "dtr" and name not in TYPED:
            text = f"Docker Trusted Registry has no type for {name}; it has for {', '.join(sorted(TYPED))}"
            yield Problem((*path, "events", number), text)


def _bad_template(one: Subscription, path: Path) -> Iterator[Problem]:
    if one.format != "text":
        if one.template is not None:
            yield Problem((*path, "template"), f"only format text has a template, and this is {one.format}")
    elif one.template is None:
        yield Problem((*path, "format"), 'a text needs a template, such as template: "{event}: {source}"')
    else:
        for text in dict.fromkeys(problems_in_template(one.template)):
            yield Problem((*path, "template"), text)
