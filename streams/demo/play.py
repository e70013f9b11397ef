"""The play of the demo: see images held, promoted, mirrored both ways and denied, and prove it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import orjson

from schemas.policies import PolicySet
from schemas.references import Reference
from streams.audit.explain import Explanation, PolicyExplanation, explain
from streams.audit.trail import TrailEntry, trail
from streams.demo.scene import Scene
from streams.facts import Teller, record, submission
from streams.publication import publish
from streams.replay.matching import Verification
from streams.replay.verify import Comparison, verify
from towline.errors import NoAnswerError
from towline.facts import read_report
from towline.policy.document import read_policies
from towline.registry.images import push_image

POLICIES: Final = """\
policies:
  - name: website-to-qa
    source: first/dev/website
    target: first/qa/website
    rules:
      - {field: tag, operator: ends-with, values: ["-stable"]}
      - {field: vulnerability_critical, operator: "<=", values: [0]}
  - name: website-to-second
    source: first/qa/website
    target: second/qa/website
  - name: tool-from-second
    source: second/vendor/tool
    target: first/vendor/tool
"""
#: What a scanner found, in the shape of Trivy's JSON.
SCAN: Final = orjson.dumps(
    {
        "SchemaVersion": 2,
        "ArtifactName": "website",
        "ArtifactType": "container_image",
        "Results": [
            {
                "Target": "the website's packages",
                "Class": "os-pkgs",
                "Type": "debian",
                "Vulnerabilities": [
                    {
                        "VulnerabilityID": "CVE-2023-0001",
                        "PkgName": "a-package",
                        "InstalledVersion": "1.0",
                        "Severity": "LOW",
                    }
                ],
            }
        ],
    }
)

STABLE: Final = Reference.parse("first/dev/website:1.0-stable")
NIGHTLY: Final = Reference.parse("first/dev/website:1.1-nightly")
PROMOTED: Final = Reference.parse("first/qa/website:1.0-stable")
MIRRORED: Final = Reference.parse("second/qa/website:1.0-stable")
UNHEARD: Final = Reference.parse("second/vendor/tool:3.1")
PULLED: Final = Reference.parse("first/vendor/tool:3.1")

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
    held: list[PolicyExplanation] = field(default_factory=list)
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
    tell(f"pushing {UNHEARD} to the second registry, which sends no webhooks: nobody hears of it")
    await _push(scene, UNHEARD)
    policies: PolicySet = read_policies(POLICIES, scene.settings.registries)
    tell(
        "publishing three policies: dev/website to qa/website if the tag ends in -stable and no scan found anything "
        "critical, from there to the second registry, and vendor/tool from the second registry to the first"
    )
    await publish(scene.log, policies, replaces=0, actor="demo", timeout_seconds=_PUBLISH_TIMEOUT_SECONDS)
    for reference in (STABLE, NIGHTLY):
        tell(f"pushing {reference}")
        await _push(scene, reference)
    tell("the registry tells the gateway, the evaluator decides; one image waits for a scan, the other is denied")
    held = await _explained(scene, STABLE, verdict="hold")
    report.held += [policy for policy in held.policies if policy.verdict == "hold"]
    tell(f"submitting the scan of {STABLE}: nothing critical; the transferrer copies")
    await _scan(scene, STABLE)
    await _explained(scene, STABLE, outcome="completed")
    await _explained(scene, PROMOTED, outcome="completed")
    tell(f"the observer asked the second registry what it has, because a policy is new: {UNHEARD} is mirrored")
    await _explained(scene, UNHEARD, outcome="completed")
    report.promoted.append(await _moved(scene, STABLE, PROMOTED))
    report.mirrored.append(await _moved(scene, PROMOTED, MIRRORED))
    report.mirrored.append(await _moved(scene, UNHEARD, PULLED))
    denied = await _explained(scene, NIGHTLY, verdict="deny")
    report.denied += [policy for policy in denied.policies if policy.verdict == "deny"]
    report.trail = await scene.projection.ask(trail, STABLE, PROMOTED)
    report.verification = await verify(scene.log, Comparison(wait_seconds=_STEP_TIMEOUT_SECONDS))
    return report


async def _push(scene: Scene, reference: Reference) -> None:
    client = scene.registries(reference.repository.registry)
    layers = [b"the base that all share", f"{reference.repository.name} as of {reference.tag}".encode()]
    await push_image(client, reference.repository.name, reference.tag, layers)


async def _scan(scene: Scene, reference: Reference) -> None:
    repository = reference.repository
    digest = await scene.registries(repository.registry).resolve(repository.name, reference.tag)
    teller = Teller.at_present("demo", "towline/demo")
    await record(scene.log, submission(read_report(SCAN), repository, digest, teller))


async def _explained(
    scene: Scene, reference: Reference, *, verdict: str | None = None, outcome: str | None = None
) -> Explanation:
    """Wait until a tag has a verdict, or its transfer an outcome."""
    try:
        async with asyncio.timeout(_STEP_TIMEOUT_SECONDS):
            while True:
                await scene.projection.catch_up()
                explanation = await scene.projection.ask(explain, reference)
                for policy in explanation.policies:
                    if policy.verdict == verdict or (outcome and policy.outcome == outcome):
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
