"""Where an event belongs in the log: its key, and the partition that its key chooses."""

from schemas.catalogue import encode
from schemas.envelope import Envelope
from schemas.events import (
    ImageDeleted,
    ImagePushed,
    PolicyProposed,
    TransferCompleted,
    TransferFailed,
    TransferSkipped,
)
from schemas.references import Frozen, Repository
from streams.log import Append
from streams.topics import EVENTS, partition_for, repository_key
from towline.policy.publish import PROPOSAL_PARTITION

#: The keys of events that belong to no repository.
POLICIES_KEY = b"policies"
CLOCK_KEY = b"clock"


def repository_of(event: Envelope[Frozen]) -> Repository | None:
    """Return the repository that an event is about; None for publications and ticks."""
    match event.data:
        case ImagePushed() | ImageDeleted() as data:
            return data.repository
        case TransferCompleted() | TransferSkipped() | TransferFailed() as data:
            return data.target.repository
        case _:
            return None


def home_partition(event: Envelope[Frozen], partitions: int) -> int | None:
    """Return the only partition where an event may be, or None for those that go to every partition."""
    repository = repository_of(event)
    if repository is not None:
        return partition_for(repository_key(repository), partitions)
    return PROPOSAL_PARTITION if isinstance(event.data, PolicyProposed) else None


def event_append(event: Envelope[Frozen]) -> Append:
    """Return the append that brings an event of one partition into the log.

    Raises:
        ValueError: the event is one that goes to every partition.
    """
    repository = repository_of(event)
    if repository is not None:
        return Append(EVENTS, repository_key(repository), encode(event))
    if isinstance(event.data, PolicyProposed):
        return Append(EVENTS, POLICIES_KEY, encode(event), PROPOSAL_PARTITION)
    raise ValueError(f"{event.subject} goes to every partition")


def broadcast_appends(event: Envelope[Frozen], key: bytes, partitions: int) -> list[Append]:
    """Return the appends that bring an event into every partition of the log."""
    value = encode(event)
    return [Append(EVENTS, key, value, partition) for partition in range(partitions)]
