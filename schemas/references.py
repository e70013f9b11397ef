"""Names of registries, repositories, tags and digests, parsed once at the edge.

The grammars are those of the OCI distribution specification. A *registry* is a name from the settings, not a host:
hosts and credentials change without the history changing. On the wire a repository is the text ``REGISTRY/NAME`` and
a reference the text ``REGISTRY/NAME:TAG``.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, core_schema

_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
REGISTRY_PATTERN = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = rf"{_PATH}(?:/{_PATH})*"
_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"

#: The longest repository name that distribution accepts, host not counted.
NAME_LENGTH_MAX = 255

#: Texts whose value is remembered: few repositories and tags make most of the traffic.
_PARSED_MAX = 16_384


Tag = Annotated[str, StringConstraints(pattern=f"^{_TAG}$")]
"""A tag: up to 128 of ``A-Za-z0-9._-``, not beginning with ``.`` or ``-``."""

Digest = Annotated[str, StringConstraints(pattern=r"^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$")]
"""A content digest: ``sha256:`` and 64, or ``sha512:`` and 128 lower-case hex digits."""

RegistryName = Annotated[str, StringConstraints(pattern=f"^{REGISTRY_PATTERN}$")]
"""The name of a registry in the settings."""

Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""A number of things or bytes that JSON carries exactly."""


Actor = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""Who did it, as the sender names them."""

MediaType = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Frozen(BaseModel):
    """What all models of the contract share: immutable, strict about names, nothing coerced.

    Each is made ready at its first use: most programs use few of them, and to make all ready takes longer than to copy
    an image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class TextValue:
    """A value object that is a plain string on the wire."""

    _pattern: ClassVar[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.no_info_after_validator_function(
            cls.parse, core_schema.str_schema(pattern=f"^{cls._pattern}$", strict=True)
        )
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), text]),
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )


@dataclass(frozen=True, slots=True, order=True)
class Repository(TextValue):
    """A repository of a named registry: ``REGISTRY/NAME``."""

    registry: str
    name: str
    _text: str = field(init=False, repr=False, compare=False)

    _pattern: ClassVar[str] = f"{REGISTRY_PATTERN}/{_NAME}"
    _parts: ClassVar[re.Pattern[str]] = re.compile(rf"({REGISTRY_PATTERN})/({_NAME})")

    def __post_init__(self) -> None:
        # Made once: it is part of most keys of the state.
        object.__setattr__(self, "_text", f"{self.registry}/{self.name}")

    @classmethod
    @lru_cache(maxsize=_PARSED_MAX)
    def parse(cls, text: str) -> Self:
        """Read ``REGISTRY/NAME``.

        Raises:
            ValueError: the text has no registry, or a part breaks its grammar.
        """
        match = cls._parts.fullmatch(text)
        if match is None or len(match[2]) > NAME_LENGTH_MAX:
            raise ValueError(
                f"{text!r} is not a repository: write REGISTRY/NAME, where REGISTRY is a name from the settings "
                "and NAME is lower case, such as local/dev/website"
            )
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True, order=True)
class Reference(TextValue):
    """A tag of a repository: ``REGISTRY/NAME:TAG``."""

    repository: Repository
    tag: str
    _text: str = field(init=False, repr=False, compare=False)

    _pattern: ClassVar[str] = f"{REGISTRY_PATTERN}/{_NAME}:{_TAG}"
    _parts: ClassVar[re.Pattern[str]] = re.compile(rf"({REGISTRY_PATTERN}/{_NAME}):({_TAG})")

    def __post_init__(self) -> None:
        object.__setattr__(self, "_text", f"{self.repository}:{self.tag}")

    @classmethod
    @lru_cache(maxsize=_PARSED_MAX)
    def parse(cls, text: str) -> Self:
        """Read ``REGISTRY/NAME:TAG``.

        Raises:
            ValueError: the text has no tag, or a part breaks its grammar.
        """
        match = cls._parts.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a reference: write REGISTRY/NAME:TAG, such as local/dev/website:1.0")
        return cls(Repository.parse(match[1]), match[2])

    def __str__(self) -> str:
        return self._text
