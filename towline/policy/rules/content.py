"""Rules on what is in an image: vulnerabilities, components, licences, platforms, labels, annotations, size."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.rules import CountRule, NamedRule, SetRule, SizeRule
from towline.policy.rules.found import Found, decided, waiting
from towline.policy.rules.spans import COMPARE, parse_size
from towline.policy.rules.texts import holds
from towline.policy.rules.view import ImageView, Missing, Report
from towline.policy.state.images import override_name

#: The bands of DTR: a CVSS score of 7.0 and more is critical, of 4.0 and more major.
_CRITICAL_TENTHS: Final = 70
_MAJOR_TENTHS: Final = 40

#: What a scanner's severity stands for when there is no score. What nobody rated is in no band, but counts in all.
_BANDS: Final[Mapping[str, str]] = {
    "critical": "critical",
    "high": "critical",
    "medium": "major",
    "low": "minor",
    "negligible": "minor",
    "unknown": "unknown",
}

#: How many names a finding repeats for people.
_SHOWN: Final = 5


def find_count(rule: CountRule, view: ImageView) -> Found:
    """Count the vulnerabilities of all platforms; one that several platforms share counts once."""
    reports = view.reports("scan")
    if isinstance(reports, Missing):
        return waiting(reports)
    counted: set[tuple[str, str]] = set()
    events: set[str] = set()
    for report in reports:
        events.add(report.event)
        _count(rule, view, report, counted, events)
    actual = len(counted)
    shown = ", ".join(sorted({name for name, _ in counted})[:_SHOWN])
    fits = any(COMPARE[rule.operator](actual, int(value)) for value in rule.values)
    return decided(fits, str(actual), *sorted(events), detail=shown or None)


def _count(rule: CountRule, view: ImageView, report: Report, counted: set[tuple[str, str]], events: set[str]) -> None:
    overrides = view.overrides(report.digest)
    for item in report.data["vulnerabilities"]:
        if not _is_counted(rule.field, item):
            continue
        names = (override_name(item["id"], None), override_name(item["id"], item["component"]))
        override = next((overrides[name] for name in names if name in overrides), None)
        if override is None:
            counted.add((item["id"], item["component"]))
        else:
            events.add(override["event"])


def _is_counted(field: str, item: Mapping[str, Any]) -> bool:
    kind, _, band = field.partition("_")
    if kind == "severity":
        return bool(item["severity"] == band)
    return band in {"all", severity_band(item)}


def severity_band(item: Mapping[str, Any]) -> str:
    """Return the band of Docker Trusted Registry that a vulnerability of a report counts in."""
    score = item["score_tenths"]
    # A score of 0.0 is a scanner's word for none; its severity says more.
    if not score:
        return _BANDS[item["severity"]]
    if score >= _CRITICAL_TENTHS:
        return "critical"
    return "major" if score >= _MAJOR_TENTHS else "minor"


def find_set(rule: SetRule, view: ImageView) -> Found:
    """Look for one among many that fits; with ``not-one-of`` for none that does."""
    if rule.field == "platform":
        images = view.images
        if isinstance(images, Missing):
            return waiting(images)
        platforms = tuple(image["platform"] for image in images)
        told = [] if view.facts.inspection is None else [view.facts.inspection["event"]]
        return decided(holds(rule.operator, platforms, rule.values), ", ".join(platforms), *told)
    components = _components(view)
    if isinstance(components, Missing):
        return waiting(components)
    found, events = components
    if rule.field == "component.name":
        names = tuple(sorted({item["name"] for item in found}))
        return _told(holds(rule.operator, names, rule.values), rule, names, events)
    return _find_licence(rule, found, events)


def _components(view: ImageView) -> tuple[list[Mapping[str, Any]], tuple[str, ...]] | Missing:
    """Return all components with the events that told them: from SBOMs, else from scans that list packages."""
    reports = view.reports("sbom")
    if isinstance(reports, Missing):
        scans = view.reports("scan")
        if isinstance(scans, Missing) or any(scan.data["components"] is None for scan in scans):
            return reports
        reports = scans
    events = tuple(sorted({report.event for report in reports}))
    return [item for report in reports for item in report.data["components"]], events


def _find_licence(rule: SetRule, components: list[Mapping[str, Any]], events: tuple[str, ...]) -> Found:
    names = tuple(sorted({name for item in components for one in item["licenses"] for name in one}))
    if rule.operator != "not-one-of":
        return _told(holds(rule.operator, names, rule.values), rule, names, events)
    # Whoever offers `MIT OR GPL` lets one choose: it breaks the rule only when every choice does.
    refused = frozenset(rule.values)
    breaking = sorted(
        {
            name
            for item in components
            if item["licenses"] and all(refused.intersection(one) for one in item["licenses"])
            for one in item["licenses"]
            for name in refused.intersection(one)
        }
    )
    return decided(not breaking, _shown(breaking), *events)


def _told(fits: bool, rule: SetRule, names: tuple[str, ...], events: tuple[str, ...]) -> Found:
    """Return a finding that names what was decisive, not all that there is."""
    operator = "one-of" if rule.operator == "not-one-of" else rule.operator
    return decided(fits, _shown([name for name in names if holds(operator, (name,), rule.values)]), *events)


def _shown(names: list[str]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def find_named(rule: NamedRule, view: ImageView) -> Found:
    """Look at an annotation, or at a label on every platform."""
    images, inspection = view.images, view.facts.inspection
    if isinstance(images, Missing) or inspection is None:
        return waiting(images if isinstance(images, Missing) else Missing("an inspection of the image"))
    holders = [inspection["data"]["annotations"]] if rule.field == "annotation" else [item["labels"] for item in images]
    texts = [(holder[rule.name],) if rule.name in holder else () for holder in holders]
    fits = bool(texts) and all(holds(rule.operator, text, rule.values) for text in texts)
    shown = sorted({text for one in texts for text in one})
    return decided(fits, ", ".join(shown) if shown else "none", inspection["event"])


def find_size(rule: SizeRule, view: ImageView) -> Found:
    """Compare the sum of the platforms' sizes."""
    images, inspection = view.images, view.facts.inspection
    if isinstance(images, Missing) or inspection is None:
        return waiting(images if isinstance(images, Missing) else Missing("an inspection of the image"))
    actual = sum(item["size"] for item in images)
    fits = any(COMPARE[rule.operator](actual, parse_size(value)) for value in rule.values)
    return decided(fits, str(actual), inspection["event"])
