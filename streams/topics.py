"""The topics: one catalogue, and the way from a key to a partition.

Whoever creates, checks, writes or reads a topic takes its name and its settings from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal

from aiokafka.partitioner import murmur2

from schemas.patterns import SourcePattern
from schemas.references import Repository
from towline import limits

FOREVER: Final = -1
"""The value of ``retention.ms`` with which nothing is ever removed."""

_DAY_MS: Final = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic is for, and the settings without which it does not keep its promise."""

    name: str
    #: What its keys are, for people; equal keys share a partition and therefore an order.
    key: str
    description: str
    #: How long a record is kept, in milliseconds; ``FOREVER`` for always.
    retention_ms: int = FOREVER
    #: Compaction would remove records that replay and audit need.
    cleanup: Literal["delete"] = "delete"
    #: Whose time a record carries. Where outsiders write, the broker's: theirs could be any.
    timestamps: Literal["CreateTime", "LogAppendTime"] = "CreateTime"
    #: How records are stored. Outsiders compress with what their library likes, in ways that our reader does not know,
    #: and into a megabyte that is a gigabyte: where they write, the broker stores what it unpacked, within its limit.
    compression: Literal["producer", "uncompressed"] = "producer"
    #: The largest batch that the broker takes, in bytes.
    max_message_bytes: int = limits.record_bytes

    @property
    def settings(self) -> dict[str, str]:
        """The topic settings of Kafka, by their names there."""
        return {
            "retention.ms": str(self.retention_ms),
            # The size of a partition must not end what its age may not.
            "retention.bytes": "-1",
            "cleanup.policy": self.cleanup,
            "message.timestamp.type": self.timestamps,
            "compression.type": self.compression,
            "max.message.bytes": str(self.max_message_bytes),
        }


INBOUND: Final = "towline.inbound"
EVENTS: Final = "towline.events"
DECISIONS: Final = "towline.decisions"
COMMANDS: Final = "towline.commands"
DEADLETTERS: Final = "towline.deadletters"
CHECKPOINTS: Final = "towline.checkpoints"

TOPICS: Final[Mapping[str, Topic]] = MappingProxyType(
    {
        topic.name: topic
        for topic in (
            Topic(
                INBOUND,
                key="any",
                description="pushes as producers send them, not yet events",
                retention_ms=7 * _DAY_MS,
                timestamps="LogAppendTime",
                compression="uncompressed",
            ),
            Topic(EVENTS, key="repository", description="the log: every fact that a decision may look at"),
            Topic(DECISIONS, key="repository", description="every decision with its reasons, negative ones too"),
            Topic(COMMANDS, key="target repository", description="what is to be done; one writer for each target"),
            Topic(DEADLETTERS, key="as the input", description="what could not be used, why, and its bytes"),
            Topic(CHECKPOINTS, key="partition", description="signed commitments over the decisions"),
        )
    }
)
"""Every topic by its name."""


def repository_key(repository: Repository) -> bytes:
    """Return the key of all records about a repository."""
    return str(repository).encode()


def subscription_key(name: str) -> bytes:
    """Return the key of what a subscription is told."""
    return f"subscription {name}".encode()


def source_key(source: SourcePattern) -> bytes:
    """Return the key of what is about a policy's source: of an exact one, that of its repository."""
    return str(source).encode()


@lru_cache(maxsize=65536)
def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition of ``key`` among ``partitions``, the one that Kafka's own producers choose.

    That is the positive part of the key's murmur2 hash, modulo the number of partitions. Hashing in Python is slow
    enough to be worth remembering: few repositories make most of the traffic.
    """
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
