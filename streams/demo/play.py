"""The play of the demo: push two images, see one promoted and mirrored and the other denied, and prove it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from schemas.policies import PolicySet
from schemas.references import Reference
from streams.audit.explain import Explanation, PolicyExplanation, explain
from streams.audit.trail import TrailEntry, trail
from streams.demo.scene import Scene
from streams.publication import publish
from streams.replay.verify import Verification, verify
from towline.errors import NoAnswerError
from towline.policy.document import read_policies
from towline.registry.images import push_image

POLICIES: Final = """\
policies:
  - name: website-to-qa
    source: first/dev/website
    target: first/qa/website
    rules:
      - {field: tag, operator: ends-with, values: ["-stable"]}
  - name: website-to-second
    source: first/qa/website
    target: second/qa/website
"""

STABLE: Final = Reference.parse("first/dev/website:1.0-stable")
NIGHTLY: Final = Reference.parse("first/dev/website:1.1-nightly")
PROMOTED: Final = Reference.parse("first/qa/website:1.0-stable")
MIRRORED: Final = Reference.parse("second/qa/website:1.0-stable")

_PUBLISH_TIMEOUT_SECONDS: Final = 45.0
_STEP_TIMEOUT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Moved:
    """A transfer, with the digests that the registries themselves answer."""

    source: str
    target: str
    source_digest: str
    target_digest: str


@dataclass(slots=True)
class Report:
    """What happened in the demo."""

    promoted: list[Moved] = field(default_factory=list)
    mirrored: list[Moved] = field(default_factory=list)
    denied: list[PolicyExplanation] = field(default_factory=list)
    trail: list[TrailEntry] = field(default_factory=list)
    verification: Verification = field(default_factory=Verification)


async def play(scene: Scene, tell: Callable[[str], None]) -> Report:
    """Run the demo; ``tell`` gets a line for each step.

    Raises:
        NoAnswerError: a step did not happen in time.
        InfrastructureError: a part failed.
    """
    report = Report()
    policies: PolicySet = read_policies(POLICIES, scene.settings.registries)
    tell("publishing two policies: dev/website to qa/website if the tag ends in -stable, and on to the second registry")
    await publish(scene.log, policies, replaces=0, actor="demo", timeout_seconds=_PUBLISH_TIMEOUT_SECONDS)
    for reference in (STABLE, NIGHTLY):
        tell(f"pushing {reference}")
        client = scene.registries(reference.repository.registry)
        layers = [b"the base that both share", f"the website as of {reference.tag}".encode()]
        await push_image(client, reference.repository.name, reference.tag, layers)
    tell("the registry tells the gateway, the evaluator decides, the transferrer copies")
    await _explained(scene, STABLE, "completed")
    await _explained(scene, PROMOTED, "completed")
    report.promoted.append(await _moved(scene, STABLE, PROMOTED))
    report.mirrored.append(await _moved(scene, PROMOTED, MIRRORED))
    denied = await _explained(scene, NIGHTLY, None)
    report.denied += [policy for policy in denied.policies if policy.verdict == "deny"]
    report.trail = await trail(scene.log, STABLE, PROMOTED)
    report.verification = await verify(scene.log, wait_seconds=_STEP_TIMEOUT_SECONDS)
    return report


async def _explained(scene: Scene, reference: Reference, outcome: str | None) -> Explanation:
    """Wait until a tag is judged, and its transfer has ended as expected."""
    try:
        async with asyncio.timeout(_STEP_TIMEOUT_SECONDS):
            while True:
                explanation = await explain(scene.log, reference)
                if explanation is not None and any(policy.outcome == outcome for policy in explanation.policies):
                    return explanation
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise NoAnswerError(
            f"{reference} was not judged and carried out within {_STEP_TIMEOUT_SECONDS:.0f} s"
        ) from None


async def _moved(scene: Scene, source: Reference, target: Reference) -> Moved:
    digests = [
        await scene.registries(reference.repository.registry).resolve(reference.repository.name, reference.tag)
        for reference in (source, target)
    ]
    return Moved(str(source), str(target), *digests)
