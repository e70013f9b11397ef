"""Collects what a delivery tells, checked against the contract."""

import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.events import ImageDeleted, ImageHinted, ImagePushed
from schemas.facts import ScanNoticed
from schemas.references import REGISTRY_PATTERN
from towline.dialects.delivery import Fact, Handshake, Hint, Notice, Translation
from towline.dialects.moments import instant_or_none
from towline.dialects.reasons import fitted, shown
from towline.errors import UnusableInputError

_REGISTRY: Final = re.compile(REGISTRY_PATTERN)

#: How our own requests begin: what they do is told by the outcomes of transfers.
_OUR_AGENT: Final = "towline/"

#: What programs written in Go write for a moment that they do not know.
_NO_MOMENT: Final = "0001-01-01T00:00:00Z"


class Telling:
    """What one delivery tells, of the one registry that its sender speaks for.

    ``paths`` gives the sender's path for our names of members, for reasons. All methods that take an image take
    ``name``, the repository without its registry, and raise UnusableInputError when something does not fit.
    """

    def __init__(self, dialect: str, registry: str | None, paths: Mapping[str, str] | None = None) -> None:
        if registry is None:
            raise UnusableInputError(
                f"{dialect} does not say which registry it is: name it, by Kafka header 'registry'"
            )
        if _REGISTRY.fullmatch(registry) is None:
            raise UnusableInputError(f"{shown(registry)} is not the name of a registry in the settings")
        self._registry = registry
        self._paths = paths or {}
        self._facts: list[Fact] = []
        self._hints: list[Hint] = []
        self._notices: list[Notice] = []
        self._passed: list[str] = []
        self._flags: list[str] = []

    def pushed(self, key: str | None, path: str, name: str, **members: Any) -> None:
        """Tell that a tag was pushed."""
        self._facts.append(Fact(fitted(ImagePushed, self._members(name, members), path, self._paths), key))

    def deleted(self, key: str | None, path: str, name: str, **members: Any) -> None:
        """Tell that a tag or a digest was deleted."""
        self._facts.append(Fact(fitted(ImageDeleted, self._members(name, members), path, self._paths), key))

    def hinted(self, key: str | None, path: str, name: str, **members: Any) -> None:
        """Tell that a tag is worth a look."""
        self._hints.append(Hint(fitted(ImageHinted, self._members(name, members), path, self._paths), key))

    def scanned(self, key: str | None, path: str, name: str, **members: Any) -> None:
        """Tell that a scan ended."""
        told = self._members(name, members)
        if told.get("tag") is None and told.get("digest") is None:
            raise UnusableInputError(f"{path}: neither a tag nor a digest says which image was scanned")
        self._notices.append(Notice(fitted(ScanNoticed, told, path, self._paths), key))

    def passed(self, path: str, reason: str) -> None:
        """Note why a part says nothing about a tag."""
        self._passed.append(f"{path}: {reason}" if path else reason)

    def moment(self, path: str, text: str | None) -> str | None:
        """Return a moment of the sender as an instant, or None with a flag when it is none."""
        if text is None or text == _NO_MOMENT:
            return None
        instant = instant_or_none(text)
        if instant is None:
            self._flags.append(f"{path}: {shown(text)} is not a moment and was left out")
        return instant

    def is_ours(self, path: str, user_agent: str | None) -> bool:
        """Tell if a request was our own, and note it as passed."""
        ours = user_agent is not None and user_agent.startswith(_OUR_AGENT)
        if ours:
            self.passed(path, "our own doing, which the outcomes of transfers tell")
        return ours

    def translation(self) -> Translation:
        """Return all of it."""
        return Translation(
            facts=tuple(self._facts),
            hints=tuple(self._hints),
            notices=tuple(self._notices),
            passed=tuple(self._passed),
            flags=tuple(self._flags),
        )

    def _members(self, name: str, members: Mapping[str, Any]) -> dict[str, Any]:
        # Senders write an empty text for what they do not know.
        told = {member: None if value == "" else value for member, value in members.items()}
        return {"repository": f"{self._registry}/{name}"} | told


def at(path: str, member: str) -> str:
    """Return the path of a member of what is at ``path``."""
    return f"{path}.{member}" if path else member


def is_digest(reference: str) -> bool:
    """Tell if a manifest is named by its digest: tags have no colon."""
    return ":" in reference


def only_handshake(handshake: Handshake) -> Translation:
    """Return what a delivery tells that only asks if deliveries are wanted."""
    return Translation(handshake=handshake)
