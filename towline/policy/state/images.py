"""What is known of a digest in a repository: when it came, who pushed it, and the facts that others found out.

The large reports have keys of their own, so that only a rule that needs one reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.references import Repository
from towline.policy.state.values import Draft, StateView, Value

#: The platform under which a report about a digest itself is kept.
WHOLE: Final = ""


@dataclass(frozen=True, slots=True)
class ImageState:
    """What the partition knows of a digest by its arrivals."""

    #: When it was first seen in this repository.
    first_seen_at: str | None = None
    media_type: str | None = None
    pushed_by: tuple[str, ...] = ()
    #: Tags with a verdict on this digest that can still change.
    waiting: tuple[str, ...] = ()
    #: The indexes that this digest is a platform of.
    parents: tuple[str, ...] = ()

    @classmethod
    def read(cls, state: StateView, repository: Repository, digest: str) -> "ImageState":
        """Return what is known of the digest."""
        value = state.get(image_key(repository, digest))
        if value is None:
            return _NO_IMAGE
        return cls(
            value["first_seen_at"],
            value["media_type"],
            tuple(value["pushed_by"]),
            tuple(value["waiting"]),
            tuple(value["parents"]),
        )

    def write(self, draft: Draft, repository: Repository, digest: str) -> None:
        """Make this the digest's state."""
        value = {
            "first_seen_at": self.first_seen_at,
            "media_type": self.media_type,
            "pushed_by": list(self.pushed_by),
            "waiting": list(self.waiting),
            "parents": list(self.parents),
        }
        draft.put(image_key(repository, digest), value)


@dataclass(frozen=True, slots=True)
class FactsState:
    """The facts that are known of a digest, each with the id of the event that told it."""

    #: ``{"event": id, "data": …}`` of the inspection, without its repository and digest.
    inspection: Value | None = None
    #: Why the last inspection failed, if none succeeded: ``{"event": id, "detail": …}``.
    inspection_failure: Value | None = None
    #: By platform, the event of the scan report; the report has its own key.
    scans: Mapping[str, str] = field(default_factory=dict)
    sboms: Mapping[str, str] = field(default_factory=dict)
    #: By kind (``scan``, ``sbom``), the platform of the newest report.
    newest: Mapping[str, str] = field(default_factory=dict)
    #: By key name, the event that told of the signature.
    signatures: Mapping[str, str] = field(default_factory=dict)
    #: By :func:`override_name`: ``{"event": id, "data": …}``.
    overrides: Mapping[str, Value] = field(default_factory=dict)
    #: By policy, then by who approved: ``{"event": id, "expires_at": …}``.
    approvals: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    #: The ids of the last events about this digest's facts, newest last.
    recent: tuple[str, ...] = ()

    @classmethod
    def read(cls, state: StateView, repository: Repository, digest: str) -> "FactsState":
        """Return the facts that are known of the digest."""
        value = state.get(facts_key(repository, digest))
        return _NO_FACTS if value is None else cls(**{**value, "recent": tuple(value["recent"])})

    def write(self, draft: Draft, repository: Repository, digest: str) -> None:
        """Make these the digest's facts."""
        value = {name: getattr(self, name) for name in self.__slots__} | {"recent": list(self.recent)}
        draft.put(facts_key(repository, digest), value)


_NO_IMAGE: Final = ImageState()
_NO_FACTS: Final = FactsState()


def override_name(vulnerability: str, component: str | None) -> str:
    """Return the name of an override: one for each vulnerability and component."""
    return vulnerability if component is None else f"{vulnerability} in {component}"


def image_key(repository: Repository, digest: str) -> str:
    """Return the key of a digest's state."""
    return f"image {repository}@{digest}"


def facts_key(repository: Repository, digest: str) -> str:
    """Return the key of a digest's facts."""
    return f"facts {repository}@{digest}"


def report_key(kind: str, repository: Repository, digest: str, platform: str) -> str:
    """Return the key of a report of ``kind`` (``scan`` or ``sbom``) about a digest, or one platform of an index."""
    return f"{kind} {repository}@{digest} {platform}"


def read_report(state: StateView, kind: str, repository: Repository, digest: str, platform: str) -> Value:
    """Return a report that the facts tell of: ``{"event": id, "data": …}``."""
    value = state.get(report_key(kind, repository, digest, platform))
    if value is None:
        raise LookupError(f"the facts of {repository}@{digest} tell of a {kind} that is not there")
    return value


def overrides_key(repository: Repository) -> str:
    """Return the key of the overrides for every image of a repository."""
    return f"overrides {repository}"


@dataclass(frozen=True, slots=True)
class RepositoryOverrides:
    """The overrides for every image of a repository."""

    #: By :func:`override_name`: ``{"event": id, "data": …}``.
    overrides: Mapping[str, Value] = field(default_factory=dict)
    #: The ids of the last events about them, newest last.
    recent: tuple[str, ...] = ()

    @classmethod
    def read(cls, state: StateView, repository: Repository) -> "RepositoryOverrides":
        """Return what is known for the repository."""
        value = state.get(overrides_key(repository))
        return cls() if value is None else cls(value["overrides"], tuple(value["recent"]))

    def write(self, draft: Draft, repository: Repository) -> None:
        """Make these the repository's overrides."""
        draft.put(overrides_key(repository), {"overrides": self.overrides, "recent": list(self.recent)})


def inspection_failed_at(state: StateView, repository: Repository, digest: str) -> str | None:
    """Return when the last attempt to look into a digest failed; None when it did not."""
    failure = FactsState.read(state, repository, digest).inspection_failure
    return None if failure is None else str(failure["time"])
