"""``towline webhook check``: whether a file of subscriptions may be applied. Needs neither broker nor network."""

from typing import Annotated

import typer

from streams.cli.inputs import AsJson, read_text
from streams.cli.output import FINDING, print_json, run, say
from towline.errors import PolicyError
from towline.notify.document import read_subscriptions
from towline.settings import load_settings

SubscriptionFile = Annotated[str, typer.Argument(metavar="FILE", help="A file of subscriptions; - for standard input.")]


def check(file: SubscriptionFile, as_json: AsJson = False) -> None:
    """Check a file of subscriptions as `apply` does, without applying it; exit 1 when it must not be applied."""
    run(_check(file, as_json=as_json))


async def _check(file: str, *, as_json: bool) -> int:
    settings = load_settings()
    try:
        found = read_subscriptions(read_text(file), settings.receivers, settings.registries, file)
    except PolicyError as error:
        if as_json:
            print_json({"problems": error.problems})
        else:
            say(str(error))
        return FINDING
    if as_json:
        print_json({"problems": [], "subscriptions": len(found.subscriptions), "digest": found.digest})
    else:
        count = len(found.subscriptions)
        say(f"{file}: {count} subscriptions, nothing wrong; bring them into force with `webhook apply`")
    return 0
