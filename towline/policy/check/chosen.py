"""A policy of the set that is checked, with its number there."""

from dataclasses import dataclass

from schemas.policies import Policy
from towline.policy.check.problem import Path


@dataclass(frozen=True, slots=True)
class Chosen:
    """A policy that is compared with others."""

    number: int
    policy: Policy

    def path(self, field: str) -> Path:
        """Return the path of one of its fields."""
        return ("policies", self.number, field)
