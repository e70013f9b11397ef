"""Who may do what on a broker with an authorizer: one principal for each part, with no more rights than it needs.

The rights are those of Kafka's ``StandardAuthorizer``; whatever is not given is refused. Everybody may read our topics
and see how they are set, since each part checks them before it starts. Who may write where is the table below.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from streams.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, DECISIONS, EVENTS, INBOUND, TOPICS
from streams.workers import ROLES

READER: Final = "reader"
GATEWAY: Final = "gateway"
OPERATOR: Final = "operator"

#: Whoever may read or write may also describe.
_READ: Final = ("Read", "DescribeConfigs")

#: The topics that a part writes to. The workers are named by their roles.
_WRITES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        READER: (),
        GATEWAY: (EVENTS,),
        "evaluate": (EVENTS, DECISIONS, COMMANDS, DEADLETTERS),
        "transfer": (EVENTS, DEADLETTERS),
        "observe": (EVENTS,),
        "notify": (EVENTS,),
        "seal": (CHECKPOINTS,),
        OPERATOR: (EVENTS, INBOUND, DEADLETTERS),
    }
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a principal may do with some resources."""

    principal: str
    operations: tuple[str, ...]
    resource: Literal["topic", "group"]
    names: tuple[str, ...]
    #: ``prefixed``: with every resource whose name begins so.
    pattern: Literal["literal", "prefixed"] = "literal"

    def arguments(self) -> list[str]:
        """Return the arguments of ``kafka-acls.sh`` that give it, after those that say where the broker is."""
        names = [part for name in self.names for part in (f"--{self.resource}", name)]
        operations = [part for operation in self.operations for part in ("--operation", operation)]
        pattern = [] if self.pattern == "literal" else ["--resource-pattern-type", self.pattern]
        return ["--add", "--allow-principal", f"User:{self.principal}", *operations, *names, *pattern]


def principal_of(part: str) -> str:
    """Return the name of a part's principal, which is also that of a worker's consumer group."""
    return f"towline-{part}"


def writers(topic: str) -> frozenset[str]:
    """Return the principals that may write to a topic."""
    return frozenset(principal_of(part) for part, topics in _WRITES.items() if topic in topics)


def grants() -> list[Grant]:
    """Return the rights of all principals; nobody has any other."""
    return [grant for part in _WRITES for grant in _grants_of(part)]


def _grants_of(part: str) -> list[Grant]:
    principal, topics = principal_of(part), tuple(TOPICS)
    found = [Grant(principal, _READ, "topic", topics)]
    if written := _WRITES[part]:
        found.append(Grant(principal, ("Write",), "topic", written))
    if part == OPERATOR:
        found.append(Grant(principal, ("Create",), "topic", topics))
    if part in ROLES:
        found.append(Grant(principal, ("Read",), "group", (principal,)))
        found.append(Grant(principal, (*_READ, "Write", "Create"), "topic", (f"{principal}-",), "prefixed"))
    return found
