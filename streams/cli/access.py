"""What policies need of the registries."""

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.patterns import SourcePattern
from schemas.policies import Policy, PolicySet
from schemas.references import Repository
from towline.policy.patterns import generalise
from towline.registry import Registries
from towline.registry.access import Access, check_access
from towline.settings import Settings


@dataclass(frozen=True, slots=True)
class Refusals:
    """What of a policy file cannot be used, a line for each; and whether that may pass by itself."""

    problems: list[str]
    retryable: bool


async def refusals(settings: Settings, policies: PolicySet, file: str) -> Refusals | None:
    """Return which registries, sources and targets of a file's set cannot be used, as they are now; None: all can."""
    enabled = [policy for policy in policies.policies if policy.mode != "disabled"]
    names = {end.registry for policy in enabled for end in (policy.source, policy.target)}
    async with Registries(settings.registries, egress=settings.egress) as registries:
        found = await check_access(registries, _sources(enabled), _targets(enabled), names)
    refused = [access for access in found if not access.is_fine]
    if not refused:
        return None
    return Refusals([f"{file}: {_refusal(access)}" for access in refused], any(one.retryable for one in refused))


def _refusal(access: Access) -> str:
    if access.repository is None:
        return f"registry {access.registry} cannot be used: {access.detail}"
    asked = " and ".join(
        name for name, granted in (("read", access.read), ("written", access.write)) if granted is False
    )
    return f"{access.registry}/{access.repository} cannot be {asked}: {access.detail}"


def _sources(policies: Iterable[Policy]) -> set[SourcePattern]:
    # A glob needs the registry's list of repositories only to be polled; many registries have none.
    return {policy.source for policy in policies if policy.source.repository is not None or policy.poll is not None}


def _targets(policies: Iterable[Policy]) -> set[Repository]:
    """Return the targets that can be known before anything is pushed."""
    targets = {generalise(policy.target, policy.source) for policy in policies}
    return {target.repository for target in targets if target is not None and target.repository is not None}
