"""Vulnerabilities in the three bands of Docker Trusted Registry, as far as a scan gives numbers."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from schemas.facts import ScanCompleted, ScanNoticed
from towline.policy.rules.content import severity_band

BANDS: Final = ("critical", "major", "minor")

#: The bands of senders that have more, as :mod:`towline.policy.rules.content` has severities without a score.
_NATIVE: Final[Mapping[str, tuple[str, ...]]] = {
    "critical": ("critical", "high"),
    "major": ("major", "medium"),
    "minor": ("minor", "low", "negligible"),
}


def bands_of(data: ScanCompleted | ScanNoticed) -> Mapping[str, int] | None:
    """Return how many vulnerabilities each band has, overridden ones too; None of a scan that failed."""
    if isinstance(data, ScanNoticed):
        if not data.succeeded:
            return None
        return {name: sum(data.counts.get(native, 0) for native in _NATIVE[name]) for name in BANDS}
    found: set[tuple[Any, ...]] = {
        (item.id, item.component, severity_band({"score_tenths": item.score_tenths, "severity": item.severity}))
        for item in data.vulnerabilities
    }
    counted = Counter(name for _, _, name in found)
    return {name: counted[name] for name in BANDS}
