"""What people and tools tell about images: built into events, and brought into the log.

Functions that build an event have no clock: ``now`` is when it is recorded. The id of a report derives from what it
says, so that a report sent twice is one fact; what a person does may be done again, so its moment belongs to the id.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from schemas.canonical import canonical_bytes, content_id, sha256_hex
from schemas.catalogue import type_of
from schemas.envelope import Envelope
from schemas.events import PromotionRequested
from schemas.facts import (
    ApprovalGranted,
    ApprovalRevoked,
    OverrideRevoked,
    SbomSubmitted,
    ScanCompleted,
    VulnerabilityOverridden,
)
from schemas.instants import Instant, format_instant, parse_instant
from schemas.policies import Platform
from schemas.references import Actor, Digest, Frozen, Reference, Repository
from streams.log import EventLog, Position
from streams.publication import policies_in_force
from streams.routing import event_append
from towline import limits
from towline.dialects.reasons import fitted, shown
from towline.errors import MisuseError, UnusableInputError
from towline.facts import Report, fact_about
from towline.policy.rules.spans import parse_span
from towline.registry import Registries

FactT = TypeVar("FactT", bound=Frozen)


class _Digested(Frozen):
    digest: Digest


@dataclass(frozen=True, slots=True)
class ImageName:
    """How people name an image: by a tag, and then what it has now is meant, or by its digest."""

    repository: Repository
    #: None when the digest is given.
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``REGISTRY/REPOSITORY:TAG`` or ``REGISTRY/REPOSITORY@DIGEST``.

        Raises:
            MisuseError: it is neither.
        """
        name, at, digest = text.partition("@")
        try:
            if at:
                return cls(Repository.parse(name), None, fitted(_Digested, {"digest": digest}, text).digest)
            reference = Reference.parse(text)
        except ValueError as error:
            raise MisuseError(str(error)) from None
        return cls(reference.repository, reference.tag, None)


@dataclass(frozen=True, slots=True)
class Teller:
    """Who tells something, by which way, and when it is recorded."""

    actor: Actor
    #: The source of the event, such as ``towline/cli``.
    source: str
    now: Instant

    @classmethod
    def at_present(cls, actor: Actor, source: str) -> Self:
        """Return one that tells something now."""
        return cls(actor, source, format_instant(datetime.now(UTC)))


async def digest_of(image: ImageName, registries: Registries) -> Digest:
    """Return the digest of an image: as it is named, or as its registry has it under the tag now.

    Raises:
        SettingsError: the settings do not know the registry, also when nothing is to be asked.
        NotFoundError: the registry has no such tag.
        RegistryError: the registry cannot be asked.
    """
    registry = registries(image.repository.registry)
    if image.tag is None:
        return image.digest or ""
    return await registry.resolve(image.repository.name, image.tag)


async def scanned_digest(
    image: ImageName, report: Report, registries: Registries, digest: Digest | None = None
) -> Digest:
    """Return the digest that a report is recorded under.

    That is ``digest`` or the one in the name; else the one that the report names, which of an index may be one
    platform's manifest; else what the tag has now.

    Raises:
        MisuseError: two digests are given that differ, or the report names several and none is given.
        SettingsError, NotFoundError, RegistryError: as :func:`digest_of`.
    """
    if digest is not None:
        fitted(_Digested, {"digest": digest})
        if image.digest not in {None, digest}:
            raise MisuseError(f"two digests are given, {image.digest} and {digest}: give one")
    if given := digest or image.digest:
        return await digest_of(ImageName(image.repository, None, given), registries)
    if len(report.digests) > 1:
        names = ", ".join(report.digests[:3])
        raise MisuseError(f"the report names {len(report.digests)} digests ({names}...): say which one it is about")
    named = ImageName(image.repository, None, report.digests[0]) if report.digests else image
    return await digest_of(named, registries)


def submission(
    report: Report, repository: Repository, digest: Digest, by: Teller, platform: Platform | None = None
) -> Envelope[ScanCompleted | SbomSubmitted]:
    """Return the event that a report about an image makes.

    Raises:
        MisuseError: the report names another image or platform.
        UnusableInputError: it does not fit into the contract.
    """
    data = fact_about(report, repository, digest, platform, by.actor)
    return _event(data, f"{repository}@{digest}", by, moment="")


def approval(
    repository: Repository, digest: Digest, policy: str, by: Teller, *, comment: str = "", expires: str | None = None
) -> Envelope[ApprovalGranted]:
    """Return the event of an approval; ``expires`` is a span from now, such as ``7d``.

    Raises:
        UnusableInputError: a part does not fit.
    """
    told = _about(repository, digest, by) | {
        "policy": policy,
        "comment": comment,
        "expires_at": _expiry(expires, by.now),
    }
    return _event(fitted(ApprovalGranted, told), f"{repository}@{digest}", by, moment=by.now)


def approval_revocation(
    repository: Repository, digest: Digest, policy: str, approver: Actor, by: Teller, *, comment: str = ""
) -> Envelope[ApprovalRevoked]:
    """Return the event that ends the approval of ``approver``.

    Raises:
        UnusableInputError: a part does not fit.
    """
    told = _about(repository, digest, by) | {"policy": policy, "approver": approver, "comment": comment}
    return _event(fitted(ApprovalRevoked, told), f"{repository}@{digest}", by, moment=by.now)


def override(
    repository: Repository,
    digest: Digest | None,
    vulnerability: str,
    by: Teller,
    *,
    reason: str,
    component: str | None = None,
    expires: str | None = None,
) -> Envelope[VulnerabilityOverridden]:
    """Return the event that somebody answers for a vulnerability; without ``digest`` in all images of the repository.

    Raises:
        UnusableInputError: a part does not fit, or there is no reason.
    """
    if not reason.strip():
        raise UnusableInputError("an override needs a reason: say why the vulnerability does not count")
    told = _about(repository, digest, by) | {
        "vulnerability": vulnerability,
        "component": component,
        "reason": reason,
        "expires_at": _expiry(expires, by.now),
    }
    return _event(fitted(VulnerabilityOverridden, told), _subject(repository, digest), by, moment=by.now)


def override_revocation(
    repository: Repository,
    digest: Digest | None,
    vulnerability: str,
    by: Teller,
    *,
    reason: str = "",
    component: str | None = None,
) -> Envelope[OverrideRevoked]:
    """Return the event that ends an override, for the same image, vulnerability and component.

    Raises:
        UnusableInputError: a part does not fit.
    """
    told = _about(repository, digest, by) | {"vulnerability": vulnerability, "component": component, "reason": reason}
    return _event(fitted(OverrideRevoked, told), _subject(repository, digest), by, moment=by.now)


def promotion_request(
    source: Reference, digest: Digest, target: Reference, by: Teller, *, comment: str = ""
) -> Envelope[PromotionRequested]:
    """Return the event that somebody wants an image at a target.

    Raises:
        MisuseError: source and target are the same.
        UnusableInputError: a part does not fit.
    """
    if source == target:
        raise MisuseError(f"source and target are both {source}: name another target")
    told = _about(source.repository, digest, by) | {"tag": source.tag, "target": str(target), "comment": comment}
    return _event(fitted(PromotionRequested, told), str(source), by, moment=by.now)


async def require_policy(log: EventLog, name: str) -> None:
    """Make sure that a policy is in force.

    Raises:
        MisuseError: it is not; the text has those that are.
        LogUnavailableError: the log cannot be reached.
    """
    found = await policies_in_force(log)
    names = [policy.name for policy in found.policies.policies]
    if name not in names:
        known = ", ".join(names[:20]) or "none"
        raise MisuseError(
            f"no policy {shown(name)} in revision {found.revision}; there are: {known}. Bring one into force with "
            "`towline policy apply`"
        )


async def record(log: EventLog, event: Envelope[Frozen]) -> Position:
    """Bring an event into the log; return its place when it is safe there.

    Raises:
        UnusableInputError: it is larger than ``limits.submission_bytes``.
        LogUnavailableError: it was not acknowledged in time. Sending a report again makes no second fact.
    """
    append = event_append(event)
    if append.size_bytes > limits.submission_bytes:
        raise UnusableInputError(
            f"what was told comes to {append.size_bytes} bytes, and the log takes {limits.submission_bytes}: submit "
            "a report with fewer packages"
        )
    return await log.append(append)


def _about(repository: Repository, digest: Digest | None, by: Teller) -> dict[str, Any]:
    return {"repository": str(repository), "digest": digest, "actor": by.actor}


def _subject(repository: Repository, digest: Digest | None) -> str:
    return f"{repository}@{digest}" if digest is not None else str(repository)


def _expiry(span: str | None, now: Instant) -> Instant | None:
    if span is None:
        return None
    try:
        return format_instant(parse_instant(now) + parse_span(span))
    except ValueError as error:
        raise UnusableInputError(f"expires: {error}") from None


def _event(data: FactT, subject: str, by: Teller, *, moment: str) -> Envelope[FactT]:
    told = sha256_hex(canonical_bytes(data.model_dump(mode="json")))
    return Envelope(
        id=content_id(type_of(data), told, moment), source=by.source, subject=subject, time=by.now, data=data
    )
