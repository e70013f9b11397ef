"""Which digests a vulnerability is in, as the scanners' last reports in the log say, and for whom it does not count."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.events import ClockTicked
from schemas.facts import ImageInspected, OverrideRevoked, ScanCompleted, VulnerabilityOverridden
from schemas.references import Frozen, Repository
from streams.history import recorded
from streams.log import ReadableLog
from streams.topics import EVENTS

#: The types that tell something of vulnerabilities.
_TEXTS: Final = (
    b"scan.completed",
    b"image.inspected",
    b"vulnerability.overridden",
    b"override.revoked",
    b"clock.ticked",
)

_OverrideKey = tuple[Repository, str | None, str | None]
"""The repository, the digest or None for every image, the component or None for all."""


@dataclass(slots=True)
class Findings:
    """Where one vulnerability is. Names of vulnerabilities are compared without regard to case."""

    vulnerability: str
    #: By digest, the components that have it.
    components: dict[str, set[str]] = field(default_factory=dict)
    #: Who answers for it, where.
    overrides: dict[_OverrideKey, VulnerabilityOverridden] = field(default_factory=dict)
    #: The log's clock: an override that ended before it does not count.
    now: str = ""

    def overridden(self, repository: Repository, digests: Iterable[str]) -> str | None:
        """Return who answers for all of it in an image of a repository, and why; None when nobody does.

        ``digests`` are the names of the image: what was commanded, and what it was reduced to.
        """
        names = set(digests)
        components = set[str]().union(*(self.components.get(name, set()) for name in names))
        answers = [self._answer(repository, names, component) for component in sorted(components)]
        if not answers or None in answers:
            return None
        return "; ".join(dict.fromkeys(answer for answer in answers if answer is not None))

    def _answer(self, repository: Repository, names: set[str], component: str) -> str | None:
        for (place, digest, where), data in self.overrides.items():
            is_meant = place == repository and (digest is None or digest in names) and where in {None, component}
            if is_meant and (data.expires_at is None or data.expires_at > self.now):
                return f"{data.actor} answers for it: {data.reason}"
        return None


async def read_findings(log: ReadableLog, vulnerability: str) -> Findings:
    """Return which digests a vulnerability is in by the last report of each, and the indexes that have one of them.

    Reports that travelled with a promotion are those of the source, and count there. An SBOM names packages and no
    vulnerability, so only scans tell.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    findings = Findings(vulnerability)
    latest: dict[tuple[str, str | None], tuple[str, set[str]]] = {}
    children: dict[str, dict[str, str]] = defaultdict(dict)
    for partition in range(await log.partitions(EVENTS)):
        async for item in recorded(log, EVENTS, partition, _TEXTS):
            match item.envelope.data:
                case ScanCompleted(carried_from=None) as data:
                    key = (data.digest, data.platform)
                    if item.envelope.time >= latest.get(key, ("", set()))[0]:
                        latest[key] = (item.envelope.time, _components(data, vulnerability))
                case ImageInspected() as data:
                    children[data.digest] |= {image.platform: image.digest for image in data.images}
                case data:
                    _note(findings, data)
    for (digest, platform), (_, components) in latest.items():
        if components:
            findings.components.setdefault(digest, set()).update(components)
            part = children.get(digest, {}).get(platform or "")
            if part is not None:
                findings.components.setdefault(part, set()).update(components)
    _add_indexes(findings, children)
    return findings


def _components(data: ScanCompleted, vulnerability: str) -> set[str]:
    return {found.component for found in data.vulnerabilities if found.id.casefold() == vulnerability.casefold()}


def _note(findings: Findings, data: Frozen) -> None:
    match data:
        case ClockTicked():
            findings.now = max(findings.now, data.now)
        case VulnerabilityOverridden() | OverrideRevoked():
            if data.vulnerability.casefold() != findings.vulnerability.casefold():
                return
            key = (data.repository, data.digest, data.component)
            if isinstance(data, VulnerabilityOverridden):
                findings.overrides[key] = data
            else:
                findings.overrides.pop(key, None)
        case _:
            pass


def _add_indexes(findings: Findings, children: Mapping[str, Mapping[str, str]]) -> None:
    for index, parts in children.items():
        for part in parts.values():
            if part != index and part in findings.components:
                findings.components.setdefault(index, set()).update(findings.components[part])
