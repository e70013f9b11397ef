"""Where an event belongs in the log: its key, and the partition that its key chooses."""

from schemas.catalogue import encode
from schemas.commands import InspectImage, PollRepository, ResolveTag, TargetCommand
from schemas.envelope import Envelope
from schemas.events import PolicyProposed, PollCompleted, PollFailed, SyncRequested
from schemas.outcomes import Report
from schemas.references import Frozen, Repository
from schemas.rollbacks import RollbackApproved, RollbackRequested
from schemas.webhooks import DeliverWebhook, SubscriptionEnded, SubscriptionsProposed, WebhookDelivered, WebhookFailed
from streams.log import Append
from streams.topics import COMMANDS, EVENTS, partition_for, repository_key, source_key, subscription_key
from towline.policy.publish import PROPOSAL_PARTITION

#: What is serialised in one partition.
_PROPOSED = (PolicyProposed, SyncRequested, SubscriptionsProposed, SubscriptionEnded)

#: The keys of events that belong to no repository.
POLICIES_KEY = b"policies"
CLOCK_KEY = b"clock"


def repository_of(event: Envelope[Frozen]) -> Repository | None:
    """Return the repository that an event is about; None for publications, bars, ticks and polls of globs."""
    if isinstance(event.data, Report | RollbackRequested | RollbackApproved):
        return event.data.target.repository
    repository = getattr(event.data, "repository", None)
    return repository if isinstance(repository, Repository) else None


def _key(event: Envelope[Frozen]) -> bytes | None:
    repository = repository_of(event)
    if repository is not None:
        return repository_key(repository)
    if isinstance(event.data, WebhookDelivered | WebhookFailed):
        return subscription_key(event.data.subscription)
    return source_key(event.data.source) if isinstance(event.data, PollCompleted | PollFailed) else None


def home_partition(event: Envelope[Frozen], partitions: int) -> int | None:
    """Return the only partition where an event may be, or None for those that go to every partition."""
    key = _key(event)
    if key is not None:
        return partition_for(key, partitions)
    return PROPOSAL_PARTITION if isinstance(event.data, _PROPOSED) else None


def event_append(event: Envelope[Frozen]) -> Append:
    """Return the append that brings an event of one partition into the log.

    Raises:
        ValueError: the event is one that goes to every partition.
    """
    key = _key(event)
    if key is not None:
        return Append(EVENTS, key, encode(event))
    if isinstance(event.data, _PROPOSED):
        return Append(EVENTS, POLICIES_KEY, encode(event), PROPOSAL_PARTITION)
    raise ValueError(f"{event.subject} goes to every partition")


def command_append(command: Envelope[Frozen]) -> Append:
    """Return the append that brings a command to its agent: by target, repository or source.

    Raises:
        ValueError: it is no command.
    """
    match command.data:
        case TargetCommand() as data:
            key = repository_key(data.target.repository)
        case InspectImage() | ResolveTag() as data:
            key = repository_key(data.repository)
        case PollRepository() as data:
            key = source_key(data.source)
        case DeliverWebhook() as data:
            key = subscription_key(data.subscription)
        case _:
            raise ValueError(f"{command.subject} is no command")
    return Append(COMMANDS, key, encode(command))


def broadcast_appends(event: Envelope[Frozen], key: bytes, partitions: int) -> list[Append]:
    """Return the appends that bring an event into every partition of the log."""
    value = encode(event)
    return [Append(EVENTS, key, value, partition) for partition in range(partitions)]
