"""From what a tool wrote to the findings and packages of an event: each once, sorted, bounded."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from packageurl import PackageURL

from schemas.facts import COMPONENTS_MAX, VULNERABILITIES_MAX, Component, Severity, Vulnerability
from towline.dialects.reasons import fitted, shown
from towline.errors import UnusableInputError
from towline.facts.licences import licences_of

#: What scanners call it, in lower case, from the worst to none. Red Hat says important and moderate; a finding of
#: which nobody says how bad it is, is unknown.
_SEVERITIES: Final[Mapping[str, Severity]] = {
    "critical": "critical",
    "high": "high",
    "important": "high",
    "medium": "medium",
    "moderate": "medium",
    "low": "low",
    "negligible": "negligible",
    "none": "negligible",
    "unknown": "unknown",
    "": "unknown",
}

#: To choose among several findings of the same; the contract lists them so.
_WORST_FIRST: Final[tuple[Severity, ...]] = get_args(Severity)


def severity_of(name: str | None, path: str) -> Severity:
    """Return the contract's severity for a scanner's word.

    Raises:
        UnusableInputError: the word is none that scanners use.
    """
    severity = _SEVERITIES.get((name or "").lower())
    if severity is None:
        known = ", ".join(word for word in _SEVERITIES if word)
        raise UnusableInputError(f"{path}: severity {shown(name or '')} is unknown; known are {known}")
    return severity


def vulnerability(told: Mapping[str, Any], path: str, names: Mapping[str, str]) -> Vulnerability:
    """Return a finding; ``names`` has the tool's name for each field of ours.

    Raises:
        UnusableInputError: it does not fit.
    """
    return fitted(Vulnerability, told, path, names)


def component(name: str, version: str | None, purl: str | None, licences: Iterable[str], path: str) -> Component:
    """Return a package with its licences as alternatives and its package URL in canonical form.

    Raises:
        UnusableInputError: a part does not fit, or ``purl`` is no package URL.
    """
    told = {"name": name, "version": version or "", "purl": _canonical(purl, path), "licenses": licences_of(licences)}
    return fitted(Component, told, path)


def _canonical(purl: str | None, path: str) -> str | None:
    if not purl:
        return None
    try:
        return PackageURL.from_string(purl).to_string()
    except ValueError:
        raise UnusableInputError(f"{path}: {shown(purl)} is no package URL") from None


def merged_vulnerabilities(found: Iterable[Vulnerability]) -> tuple[Vulnerability, ...]:
    """Return the findings sorted; of several about the same vulnerability of the same package, the worst.

    Raises:
        UnusableInputError: more than an event takes.
    """
    worst: dict[tuple[str, str, str], Vulnerability] = {}
    for each in found:
        key = (each.id, each.component, each.version)
        known = worst.get(key)
        worst[key] = each if known is None else _worse(known, each)
    _refuse_beyond(VULNERABILITIES_MAX, len(worst), "vulnerabilities")
    return tuple(worst[key] for key in sorted(worst))


def _worse(one: Vulnerability, other: Vulnerability) -> Vulnerability:
    severity = min(one.severity, other.severity, key=_WORST_FIRST.index)
    scores = [each.score_tenths for each in (one, other) if each.score_tenths is not None]
    return one.model_copy(update={"severity": severity, "score_tenths": max(scores, default=None)})


def merged_components(found: Iterable[Component]) -> tuple[Component, ...]:
    """Return the packages sorted, each once.

    Raises:
        UnusableInputError: more than an event takes.
    """
    once = {(each.name, each.version, each.purl or "", each.licenses): each for each in found}
    _refuse_beyond(COMPONENTS_MAX, len(once), "packages")
    return tuple(once[key] for key in sorted(once))


def _refuse_beyond(bound: int, count: int, what: str) -> None:
    if count > bound:
        raise UnusableInputError(f"the report has {count} {what}; at most {bound} are taken")
