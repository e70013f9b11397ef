"""Webhooks of Docker Trusted Registry and Mirantis Secure Registry 2 and 3
(https://docs.mirantis.com/msr/2.9/ops/manage-webhooks.html).

An envelope ``{"type", "createdAt", "contents"}``. Nothing says who sent it: whoever learns the hook's address could
name an old image of the repository. So what happened to a tag is a hint, and the registry says what the tag has.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from towline.dialects.delivery import Delivery, Translation
from towline.dialects.jsonbytes import read_object, spelled
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted, shown
from towline.dialects.telling import Telling
from towline.errors import UnusableInputError

_NO_TAG: Final = "it names no tag; each tag has an event of its own"
_NO_IMAGE: Final = "it is about no image"
_PULL: Final = "a pull changes nothing"

_PASSED: Final[Mapping[str, str]] = {
    "TAG_PULL": _PULL,
    "MANIFEST_PULL": _PULL,
    "MANIFEST_PUSH": _NO_TAG,
    "MANIFEST_DELETE": _NO_TAG,
    "PUSH_MIRRORING": "it changed another registry, not this one",
    "REPO_EVENT": _NO_IMAGE,
    "REPO_CREATED": _NO_IMAGE,
    "REPO_UPDATED": _NO_IMAGE,
    "REPO_DELETED": _NO_IMAGE,
    "SCANNER_UPDATE_COMPLETED": _NO_IMAGE,
    "CHART_PUSH": _NO_IMAGE,
    "CHART_PULL": _NO_IMAGE,
    "CHART_DELETE": _NO_IMAGE,
    "CHART_LINTED": _NO_IMAGE,
}

#: The state of a scan that has its results (section 2 of the API's ``last_scan_status``).
_SCANNED: Final = 6


class _Message(Part):
    type: str
    created_at: Annotated[str | None, Field(alias="createdAt")] = None
    contents: dict[str, Any]


class _Image(Part):
    namespace: str
    repository: str
    tag: str
    author: str | None = None


class _Counts(Part):
    critical: int
    major: int
    minor: int
    status: Annotated[int, Field(alias="last_scan_status")]


class _Scan(_Image):
    counts: Annotated[_Counts, Field(alias="scanSummary")]


class _Promotion(Part):
    repository: Annotated[str, Field(alias="targetRepository")]
    tag: Annotated[str, Field(alias="targetTag")]


class _PollMirroring(Part):
    repository: Annotated[str | None, Field(alias="localRepository")] = None
    tag: Annotated[str | None, Field(alias="localTag")] = None


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the tags that something happened to, as hints, and which scans ended.

    Raises:
        UnusableInputError: no registry is given, the type is unknown, or its contents do not name the image.
    """
    telling = Telling("dtr", registry, {"counts": "scanSummary"})
    message = fitted(_Message, read_object(delivery.body))
    reader = _READERS.get(message.type)
    if message.type in _PASSED:
        telling.passed("", _PASSED[message.type])
    elif reader is None:
        known = ", ".join(sorted({*_PASSED, *_READERS}))
        raise UnusableInputError(f"type: {shown(message.type)} is unknown; known are {known}")
    else:
        reader(telling, message)
    return telling.translation()


def _key(message: _Message) -> str | None:
    return spelled([message.type, message.created_at]) if message.created_at else None


def _hint(telling: Telling, message: _Message, repository: str, tag: str, actor: str | None = None) -> None:
    occurred_at = telling.moment("createdAt", message.created_at)
    telling.hinted(_key(message), "contents", repository, tag=tag, actor=actor, occurred_at=occurred_at)


def _read_tag(telling: Telling, message: _Message) -> None:
    image = fitted(_Image, message.contents, "contents")
    _hint(telling, message, f"{image.namespace}/{image.repository}", image.tag, image.author)


def _read_promotion(telling: Telling, message: _Message) -> None:
    promotion = fitted(_Promotion, message.contents, "contents")
    _hint(telling, message, promotion.repository, promotion.tag)


def _read_poll_mirroring(telling: Telling, message: _Message) -> None:
    # What these contents are is written nowhere; these names are those of the API's answers.
    mirroring = fitted(_PollMirroring, message.contents, "contents")
    if mirroring.repository and mirroring.tag:
        _hint(telling, message, mirroring.repository, mirroring.tag)
    else:
        telling.passed("contents", "neither localRepository nor localTag says what was mirrored; the tag's push does")


def _read_scan(telling: Telling, message: _Message) -> None:
    scan = fitted(_Scan, message.contents, "contents")
    found = {"critical": scan.counts.critical, "major": scan.counts.major, "minor": scan.counts.minor}
    succeeded = scan.counts.status == _SCANNED
    _notice(telling, message, scan, succeeded=succeeded, counts=found if succeeded else {})


def _read_failed_scan(telling: Telling, message: _Message) -> None:
    _notice(telling, message, fitted(_Image, message.contents, "contents"), succeeded=False)


def _notice(telling: Telling, message: _Message, image: _Image, **members: Any) -> None:
    occurred_at = telling.moment("createdAt", message.created_at)
    name = f"{image.namespace}/{image.repository}"
    telling.scanned(_key(message), "contents", name, tag=image.tag, occurred_at=occurred_at, **members)


_READERS: Final[Mapping[str, Callable[[Telling, _Message], None]]] = {
    "TAG_PUSH": _read_tag,
    "TAG_DELETE": _read_tag,
    "PROMOTION": _read_promotion,
    "POLL_MIRRORING": _read_poll_mirroring,
    "SCAN_COMPLETED": _read_scan,
    "SCAN_FAILED": _read_failed_scan,
}
