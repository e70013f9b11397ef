"""Policies as people write them and as the log keeps them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.canonical import canonical_bytes, sha256_hex
from schemas.references import Frozen, Repository

PolicyName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""Unique in its set: lower-case letters, digits and hyphens, up to 63."""

TagOperator = Literal["equals", "starts-with", "ends-with", "contains", "one-of", "not-one-of"]
"""``equals`` to ``one-of`` hold when any of the values does; ``not-one-of`` when none does."""

#: Bounds of one rule, so that a decision has a bounded cost.
VALUES_MAX = 1000
RULES_MAX = 100
#: Bounds of one set, so that its publication fits into one record of the log.
POLICIES_MAX = 10_000


class Rule(Frozen):
    """One condition on an image. All rules of a policy must hold."""

    field: Literal["tag"]
    operator: TagOperator
    values: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=256)], ...],
        Field(min_length=1, max_length=VALUES_MAX),
    ]


class Policy(Frozen):
    """Which images of the source go to the target, and under which tag.

    A target in the source's registry makes it a promotion, another registry a mirror.
    """

    name: PolicyName
    source: Repository
    target: Repository
    tag: Annotated[str, StringConstraints(min_length=1, max_length=256)] = "%n"
    rules: Annotated[tuple[Rule, ...], Field(max_length=RULES_MAX)] = ()


class PolicySet(Frozen):
    """All policies in force together; published as one revision."""

    policies: Annotated[tuple[Policy, ...], Field(max_length=POLICIES_MAX)] = ()

    @property
    def digest(self) -> str:
        """The SHA-256 of the set's canonical bytes, as hex digits."""
        return sha256_hex(canonical_bytes(self.model_dump(mode="json")))
