"""Playing events to a partition with subscriptions in force, and looking at the webhooks that each leads to."""

from typing import cast

import orjson

from schemas.envelope import Envelope
from schemas.references import Frozen
from schemas.webhooks import DeliverWebhook, Subscription
from tests.support.subscriptions import subscriptions_published
from towline.policy.step import MemoryState


class Told:
    """A partition with these subscriptions in force."""

    def __init__(self, *subscriptions: Subscription) -> None:
        self.state = MemoryState()
        self.take(subscriptions_published(*subscriptions))

    def take(self, *events: Envelope[Frozen]) -> list[Envelope[DeliverWebhook]]:
        """Take events and return the commands to tell of them."""
        commands = [command for event in events for command in self.state.step(event).commands]
        return [
            cast("Envelope[DeliverWebhook]", command)
            for command in commands
            if isinstance(command.data, DeliverWebhook)
        ]

    def who(self, *events: Envelope[Frozen]) -> list[tuple[str, str]]:
        """Take events and return who is told of what."""
        return [(command.data.subscription, command.data.cause) for command in self.take(*events)]

    def bodies(self, *events: Envelope[Frozen]) -> list[dict[str, object]]:
        """Take events and return what is sent."""
        return [orjson.loads(command.data.body) for command in self.take(*events)]
