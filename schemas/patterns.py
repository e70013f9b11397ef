"""Patterns of repositories: what a policy takes its images from, and where it puts them.

A *source* is ``REGISTRY/PATH`` where ``*`` stands for any characters within one part of the path and ``**`` for one or
more whole parts; each is a numbered capture, from the left. A *target* is ``REGISTRY/PATH`` where ``{1}``, ``{2}`` ...
stand for what was captured and ``{repository}`` for the whole source path.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from schemas.references import NAME_LENGTH_MAX, REGISTRY_PATTERN, Repository, TextValue

_PART = re.compile(r"\*\*|[a-z0-9._*-]+")
_PLACEHOLDER = re.compile(r"\{(repository|[1-9][0-9]?)\}")


@dataclass(frozen=True, slots=True, order=True)
class SourcePattern(TextValue):
    """The repositories that a policy takes images from: one by name, or all that a glob matches."""

    registry: str
    path: str

    _pattern: ClassVar[str] = f"{REGISTRY_PATTERN}/[a-z0-9._*/-]+"
    _parts: ClassVar[re.Pattern[str]] = re.compile(rf"({REGISTRY_PATTERN})/([a-z0-9._*/-]+)")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``REGISTRY/PATH``.

        Raises:
            ValueError: the text has no registry, or the path is neither a repository's nor a glob.
        """
        match = cls._parts.fullmatch(text)
        if match is None or len(match[2]) > NAME_LENGTH_MAX:
            raise ValueError(
                f"{text!r} is not a source: write REGISTRY/REPOSITORY, such as local/dev/website, or a glob of "
                "repositories, such as local/dev/* (REGISTRY is a name from the settings)"
            )
        pattern = cls(match[1], match[2])
        if pattern.repository is None and not all(
            _PART.fullmatch(part) and ("**" not in part or part == "**") for part in pattern.path.split("/")
        ):
            raise ValueError(f"{text!r}: * stands for any characters of one part of a path, ** for one or more parts")
        return pattern

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"

    @property
    def repository(self) -> Repository | None:
        """The repository that is named, or None for a glob.

        Raises:
            ValueError: without a wildcard, and no repository's name either.
        """
        return None if "*" in self.path else Repository.parse(str(self))


@dataclass(frozen=True, slots=True, order=True)
class TargetPattern(TextValue):
    """The repository that a policy puts images into, with placeholders for what the source's glob matched."""

    registry: str
    path: str

    _pattern: ClassVar[str] = rf"{REGISTRY_PATTERN}/[a-z0-9._/{{}}-]+"
    _parts: ClassVar[re.Pattern[str]] = re.compile(rf"({REGISTRY_PATTERN})/([a-z0-9._/{{}}-]+)")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``REGISTRY/PATH``.

        Raises:
            ValueError: the text has no registry, an unknown placeholder, or can never be a repository.
        """
        match = cls._parts.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not a target: write REGISTRY/REPOSITORY, where {{repository}} stands for the source's "
                "path and {1} for what its first wildcard matched"
            )
        # Any short name in place of a placeholder must make a repository.
        Repository.parse(f"{match[1]}/{_PLACEHOLDER.sub('a', match[2])}")
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names between braces, in order: ``repository`` or numbers."""
        return placeholders_in(self.path)

    def fill(self, values: dict[str, str]) -> Repository:
        """Return the repository with each placeholder replaced by its value.

        Raises:
            ValueError: a placeholder has no value, or the result is no repository.
        """
        return Repository.parse(f"{self.registry}/{fill_placeholders(self.path, values)}")


def placeholders_in(text: str) -> tuple[str, ...]:
    """Return the names between braces, in order: ``repository`` or numbers."""
    return tuple(_PLACEHOLDER.findall(text))


def fill_placeholders(text: str, values: dict[str, str]) -> str:
    """Return ``text`` with each ``{name}`` replaced.

    Raises:
        ValueError: a placeholder has no value.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ValueError(f"{match[0]} stands for nothing that the source matched")
        return values[match[1]]

    return _PLACEHOLDER.sub(value, text)
