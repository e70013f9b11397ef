"""What must be wrong with no policy set that enters the log.

The decision core relies on it: see :mod:`towline.policy.conflicts` on targets, and ``hop_count`` on cycles.
"""

from collections.abc import Collection

from schemas.policies import PolicySet
from towline.policy.check.chosen import Chosen
from towline.policy.check.collisions import collisions
from towline.policy.check.cycles import cycles
from towline.policy.check.deletions import shared_deletions
from towline.policy.check.fields import bad_fields, bad_reconciliation
from towline.policy.check.problem import Problem
from towline.policy.check.rules import bad_rules


def problems_of(policies: PolicySet, registries: Collection[str] | None) -> list[Problem]:
    """Return everything that is wrong with a set, given the names of the registries; None: any name will do.

    Policies that are wrong by themselves are left out where policies are compared. So are disabled ones; those in
    shadow are not, as they are to go into force as they are.
    """
    fields = [*bad_fields(policies, registries)]
    wrong = {problem.path[1] for problem in fields if problem.path[2] in {"target", "tag"}}
    chosen = [
        Chosen(number, policy)
        for number, policy in enumerate(policies.policies)
        if policy.mode != "disabled" and number not in wrong
    ]
    alone = [*bad_reconciliation(policies), *fields, *bad_rules(policies)]
    return [*alone, *cycles(chosen), *collisions(chosen), *shared_deletions(chosen)]
