"""Rollbacks: target tags get back what they had, or go, once another person has agreed; each with a trail of its own.

A plan is a list of steps, one for each target tag. It is proposed and approved step by step in the partitions of the
targets, so that each partition knows by itself who wanted what and who agreed.
"""

from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.canonical import canonical_bytes, sha256_hex
from schemas.policies import PLATFORMS_MAX, Platform
from schemas.references import Actor, Count, Digest, Frozen, Reference, Repository

#: Steps of one plan.
STEPS_MAX: Final = 1000
#: People who have to approve.
APPROVALS_MAX: Final = 5

Id = Annotated[str, StringConstraints(pattern=r"^[a-f0-9]{64}$")]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Approvals = Annotated[int, Field(ge=1, le=APPROVALS_MAX)]
"""How many people have to approve a rollback, beside the one who proposes it."""


class RollbackStep(Frozen):
    """What one target tag is to have instead of what it has."""

    target: Reference
    #: What it gets: a digest that it had before. None: it is removed, as it was not there before.
    digest: Digest | None
    #: What it has. When it has something else by then, the step is not taken.
    expected_digest: Digest
    #: What policies may not bring there again. It differs from what the tag has where an index was reduced.
    barred_digest: Digest
    #: Of an index, the platforms that were brought with ``digest``; empty: all.
    platforms: Annotated[tuple[Platform, ...], Field(max_length=PLATFORMS_MAX)] = ()

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.digest == self.expected_digest:
            raise ValueError("the tag has this digest already")
        return self


class RollbackPlan(Frozen):
    """The steps of a rollback, those farthest downstream first. Its id derives from all that it would do."""

    #: What it is about, for people: a digest, a vulnerability or a revision.
    cause: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    #: The revision whose decisions are rolled back: a later one may bring the same digests again. None: none may.
    revision: Count | None = None
    steps: Annotated[tuple[RollbackStep, ...], Field(min_length=1, max_length=STEPS_MAX)]

    @model_validator(mode="after")
    def _names_each_target_once(self) -> Self:
        if len({step.target for step in self.steps}) != len(self.steps):
            raise ValueError("a target is there twice")
        return self

    @property
    def plan_id(self) -> str:
        """The SHA-256 of its canonical bytes, as hex digits."""
        return sha256_hex(canonical_bytes(self.model_dump(mode="json")))


class RollbackRequested(Frozen):
    """Someone proposes to take one step of a plan. It waits for others to approve."""

    plan_id: Id
    cause: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    revision: Count | None = None
    step: RollbackStep
    #: Its place in the plan, from 0, and how many steps the plan has.
    number: Count
    steps: Annotated[int, Field(ge=1, le=STEPS_MAX)]
    approvals: Approvals = 1
    actor: Actor
    reason: Reason

    @property
    def target(self) -> Reference:
        """The tag that it is about."""
        return self.step.target


class RollbackApproved(Frozen):
    """Someone agrees to one step of a plan, as it was proposed."""

    target: Reference
    plan_id: Id
    #: The id of the event that proposed it: nothing else is approved.
    request_id: Id
    actor: Actor


class DigestBarred(Frozen):
    """A rollback was approved: in every partition, no policy brings the digest to the target's repository again."""

    target_repository: Repository
    digest: Digest
    #: The last revision whose policies are meant; None: those of every one.
    revision: Count | None = None
    plan_id: Id
    #: Who proposed the rollback, and why.
    actor: Actor
    reason: Reason
