"""From a report to the fact about one image."""

from schemas.facts import SbomSubmitted, ScanCompleted
from schemas.policies import Platform
from schemas.references import Digest, Repository
from towline.dialects.reasons import fitted
from towline.errors import MisuseError
from towline.facts.parts import Report


def fact_about(
    report: Report, repository: Repository, digest: Digest, platform: Platform | None = None, actor: str | None = None
) -> ScanCompleted | SbomSubmitted:
    """Return the fact that a report tells about an image.

    ``platform`` is what was looked at, for a report that does not say it.

    Raises:
        MisuseError: the report names another image, or another platform.
        UnusableInputError: the name of the tool, the actor or the platform does not fit into the contract.
    """
    if report.digests and digest not in report.digests:
        raise MisuseError(
            f"the report is about {_some(report.digests)}, and is submitted for {digest}: submit it for the image that "
            "was scanned, or scan this one"
        )
    if platform is not None and report.platform not in {None, platform}:
        raise MisuseError(f"the report is about platform {report.platform}, and is submitted for {platform}")
    told = {
        "repository": str(repository),
        "digest": digest,
        "platform": platform or report.platform,
        "actor": actor,
        "occurred_at": report.occurred_at,
    }
    # The findings are of the contract already; only what is new is checked.
    if report.vulnerabilities is None:
        sbom = fitted(SbomSubmitted, told | {"format": report.tool, "components": []}, "report")
        return sbom.model_copy(update={"components": report.components or ()})
    scan = fitted(ScanCompleted, told | {"scanner": report.tool, "vulnerabilities": []}, "report")
    return scan.model_copy(update={"vulnerabilities": report.vulnerabilities, "components": report.components})


def _some(digests: tuple[Digest, ...]) -> str:
    shown = ", ".join(digests[:3])
    return shown if len(digests) <= 3 else f"{shown} and {len(digests) - 3} more"
