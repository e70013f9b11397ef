"""Webhooks: one attempt at each, and how it goes on after it.

After a crash an attempt may be made again, with the same webhook id and the same body: that is how a receiver knows it.
"""

from typing import Any, Final

from agents.command_runner import Record
from agents.lines import Lines
from agents.outcomes import end_id, known_now
from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.references import Frozen
from schemas.webhooks import DeliverWebhook, SubscriptionEnded, WebhookDelivered, WebhookFailed
from towline import limits
from towline.failpoints import Failpoints
from towline.receivers.schedule import Tries, after_attempt
from towline.receivers.sending import Attempt, Clock, Receivers

SOURCE: Final = "towline/notifier"

DELIVERED: Final = "delivered"
#: Why a webhook is not delivered: the receiver wants no more, all attempts failed, or too many wait for a receiver that
#: fails.
GONE: Final = "gone"
EXHAUSTED: Final = "exhausted"
BACKLOG: Final = "backlog"

_DAY_SECONDS: Final = 86_400.0
#: As long as the contract has it.
_REASON_LENGTH: Final = 512


class Deliveries:
    """Carries out the commands that tell receivers, one attempt at a time."""

    def __init__(self, receivers: Receivers, lines: Lines, failpoints: Failpoints, clock: Clock) -> None:
        #: Of commands that are to be attempted again: the attempts so far.
        self.tries: dict[str, Tries] = {}
        #: When a subscription was last told something.
        self.told: dict[str, float] = {}
        self._receivers = receivers
        self._lines = lines
        self._failpoints = failpoints
        self._clock = clock
        #: Subscriptions of which this process told that they ended, by the revision under which they did; and of those
        #: the ones whose receivers do not want any more.
        self._ended: dict[str, int] = {}
        self._gone: dict[str, int] = {}

    async def carry_out(self, command_id: str, command: DeliverWebhook, record: Record) -> Envelope[Frozen] | None:
        """Attempt once; return the event that ends the command, or None when ``tries`` tells when to attempt again."""
        tries = self.tries.pop(command_id, None)
        made = 0 if tries is None else tries.made
        if command.revision <= self._gone.get(command.subscription, -1):
            detail = "the receiver wants none of this subscription any more"
            return _failed(command_id, command, made, cause=GONE, detail=detail)
        await self._failpoints.hit("notifier.post_next")
        body = command.body.encode()
        attempt = await self._receivers.send(command.receiver, command_id, command.content_type, body)
        await self._failpoints.hit("notifier.answered")
        now = self._clock()
        self._lines.learn(
            command.receiver,
            failed=attempt.cause not in {DELIVERED, GONE},
            closed_until=now + (attempt.retry_after_seconds or 0.0),
        )
        if attempt.cause == DELIVERED:
            self.told[command.subscription] = now
            return _delivered(command_id, command, made + 1, attempt)
        if attempt.cause == GONE:
            self._gone[command.subscription] = command.revision
            await self._end_subscription(command_id, command, attempt.detail, record)
            return _refused(command_id, command, made + 1, GONE, attempt)
        later = after_attempt(command_id, tries, now, attempt.retry_after_seconds)
        if later is not None:
            self.tries[command_id] = later
            return None
        await self._exhausted(command_id, command, now if tries is None else tries.first, attempt, record)
        return _refused(command_id, command, made + 1, EXHAUSTED, attempt)

    async def _exhausted(
        self, command_id: str, command: DeliverWebhook, first: float, attempt: Attempt, record: Record
    ) -> None:
        """End the subscription too, when nothing was delivered to it since the first attempt at this one."""
        if self.told.get(command.subscription, 0.0) < first:
            days = (self._clock() - first) / _DAY_SECONDS
            reason = f"nothing could be delivered for {days:.1f} days: {attempt.detail}"
            await self._end_subscription(command_id, command, reason, record)

    async def _end_subscription(self, command_id: str, command: DeliverWebhook, reason: str, record: Record) -> None:
        if command.revision <= self._ended.get(command.subscription, -1):
            return  # Told already, by another webhook of it.
        ended = SubscriptionEnded(
            subscription=command.subscription,
            receiver=command.receiver,
            command_id=command_id,
            revision=command.revision,
            reason=reason[:_REASON_LENGTH],
        )
        id_ = content_id(command_id, "subscription ended")
        await record([known_now(ended, id_=id_, source=SOURCE, subject=command.subscription)])
        self._ended[command.subscription] = command.revision


def too_many(command_id: str, command: DeliverWebhook) -> Envelope[Frozen]:
    """Return the end of a command whose receiver fails while as many as may wait for it do."""
    detail = f"the receiver fails, and {limits.waiting_delivery_count} webhooks wait for it already"
    return _failed(command_id, command, 0, cause=BACKLOG, detail=detail)


def _delivered(command_id: str, command: DeliverWebhook, made: int, attempt: Attempt) -> Envelope[Frozen]:
    members = _members(command_id, command)
    return _end(command_id, WebhookDelivered(**members, attempts=made, status_code=attempt.status_code or 200))


def _refused(command_id: str, command: DeliverWebhook, made: int, cause: str, attempt: Attempt) -> Envelope[Frozen]:
    return _failed(command_id, command, made, cause=cause, detail=attempt.detail, status_code=attempt.status_code)


def _failed(
    command_id: str, command: DeliverWebhook, made: int, *, cause: str, detail: str, status_code: int | None = None
) -> Envelope[Frozen]:
    data = WebhookFailed(
        **_members(command_id, command),
        attempts=made,
        status_code=status_code,
        cause=cause,
        detail=detail,
        retryable=cause != GONE,
    )
    return _end(command_id, data)


def _members(command_id: str, command: DeliverWebhook) -> dict[str, Any]:
    return {
        "command_id": command_id,
        "cause_id": command.cause_id,
        "subscription": command.subscription,
        "receiver": command.receiver,
    }


def _end(command_id: str, data: WebhookDelivered | WebhookFailed) -> Envelope[Frozen]:
    return known_now(data, id_=end_id(command_id), source=SOURCE, subject=data.subscription)
