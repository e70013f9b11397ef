"""The columns of each table: those that all have, what is asked for most, and the very bytes of the record."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from streams.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, DECISIONS, EVENTS

Kind = Literal["text", "int", "time", "bytes", "headers", "rules"]
"""What a column holds: ``headers`` are names with bytes, ``rules`` the findings of a decision."""


class Column(NamedTuple):
    """A column of a table."""

    name: str
    kind: Kind = "text"


#: Where each record is, and what its envelope says.
PLACE: Final = (
    Column("partition", "int"),
    Column("offset", "int"),
    # When it was recorded, as the record says, and as the log says.
    Column("time", "time"),
    Column("timestamp_ms", "int"),
    Column("type"),
    Column("version", "int"),
    Column("id"),
    Column("source"),
    Column("subject"),
)

#: What each record is.
RECORD: Final = (
    # The data of the record as JSON, as it was written.
    Column("data"),
    # Why it cannot be read; the columns above have nothing then.
    Column("problem"),
    Column("key", "bytes"),
    Column("headers", "headers"),
    Column("value", "bytes"),
)

_IMAGE: Final = (
    Column("repository"),
    Column("tag"),
    Column("digest"),
    Column("target"),
    Column("target_repository"),
    Column("target_tag"),
    Column("policy"),
    Column("actor"),
    Column("pushed_by"),
)

TABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        EVENTS: "events",
        DECISIONS: "decisions",
        COMMANDS: "commands",
        DEADLETTERS: "deadletters",
        CHECKPOINTS: "checkpoints",
    }
)
"""The table of each topic. Checkpoints come after the decisions that they are over."""

COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = MappingProxyType(
    {
        EVENTS: (
            *PLACE,
            *_IMAGE,
            Column("revision", "int"),
            # Of events that end a command: completed, skipped or failed.
            Column("outcome"),
            Column("reason"),
            Column("decision_id"),
            Column("command_id"),
            Column("occurred_at", "time"),
            *RECORD,
        ),
        DECISIONS: (
            *PLACE,
            *_IMAGE,
            Column("revision", "int"),
            Column("verdict"),
            Column("mode"),
            Column("reason"),
            Column("rules", "rules"),
            Column("hops", "int"),
            Column("due_at", "time"),
            Column("event_id"),
            *RECORD,
        ),
        COMMANDS: (*PLACE, *_IMAGE, Column("hops", "int"), Column("decision_id"), Column("event_id"), *RECORD),
        DEADLETTERS: (
            *PLACE,
            Column("input_topic"),
            Column("input_partition", "int"),
            Column("input_offset", "int"),
            Column("reason"),
            Column("value_size", "int"),
            Column("value_sha256"),
            *RECORD,
        ),
        CHECKPOINTS: (
            *PLACE,
            Column("number", "int"),
            Column("size", "int"),
            Column("root"),
            Column("last_offset", "int"),
            Column("key_id"),
            *RECORD,
        ),
    }
)
"""The columns of each topic's table, in their order."""
