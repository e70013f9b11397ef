"""Recognising a report, and reading it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from towline import limits
from towline.dialects.jsonbytes import read_json
from towline.errors import UnusableInputError
from towline.facts import cyclonedx, grype, harbor, spdx, trivy
from towline.facts.parts import Report


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Any]], Report]


_FORMATS: Final = (
    _Format("Trivy JSON", trivy.recognises, trivy.read),
    _Format("Grype JSON", grype.recognises, grype.read),
    _Format("Harbor vulnerability report", harbor.recognises, harbor.read),
    _Format("CycloneDX JSON 1.4 to 1.7", cyclonedx.recognises, cyclonedx.read),
    _Format("SPDX 2.3 JSON", spdx.recognises, spdx.read),
)


def read_report(content: bytes) -> Report:
    """Return what a scanner's report or an SBOM says, whichever of the known formats it has.

    Equal bytes make equal reports; the order in which a tool lists things makes no difference.

    Raises:
        UnusableInputError: not JSON, of no known format or of several, or a part of it cannot be used; the reason has
            the path of that part.
    """
    document = read_json(content, limits.report_bytes)
    known = ", ".join(each.name for each in _FORMATS)
    if not isinstance(document, dict):
        raise UnusableInputError(f"a report is a JSON object; known are {known}")
    found = [each for each in _FORMATS if each.recognises(document)]
    if not found:
        raise UnusableInputError(f"this is no report that is known; known are {known}")
    if len(found) > 1:
        names = " and ".join(each.name for each in found)
        raise UnusableInputError(f"this looks like {names} at once; which one it is must be plain")
    return found[0].read(document)
