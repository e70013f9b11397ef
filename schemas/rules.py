"""Rules: conditions on an image. All rules of a policy must hold.

Several values mean any of them; ``not-one-of`` means none. A rule has three values: it holds, it fails, or it waits for
a fact that is not known yet.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from schemas.references import Frozen

#: Bounds of one rule, so that a decision has a bounded cost.
VALUES_MAX = 1000


def _as_text(value: object) -> object:
    # YAML reads `values: [0]` as a number, and people write it so.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, StringConstraints(min_length=1, max_length=256), BeforeValidator(_as_text)]
_COUNT = r"^[0-9]{1,15}$"
_SIZE = r"^[0-9]{1,15}( ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB))?$"
_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
#: Numbers with units, one after another.
DURATION_PATTERN = r"([0-9]{1,9}(\.[0-9]{1,6})?(us|ms|s|m|h|d|w))+"
_PEOPLE = r"^[1-9][0-9]?$"

CountText = Annotated[
    str,
    StringConstraints(pattern=_COUNT),
    BeforeValidator(_as_text),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _COUNT}, {"type": "integer", "minimum": 0}]}),
]
SizeText = Annotated[
    str,
    StringConstraints(pattern=_SIZE),
    BeforeValidator(_as_text),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _SIZE}, {"type": "integer", "minimum": 0}]}),
]
PeopleText = Annotated[
    str,
    StringConstraints(pattern=_PEOPLE),
    BeforeValidator(_as_text),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _PEOPLE}, {"type": "integer", "minimum": 1}]}),
]
InstantText = Annotated[str, StringConstraints(pattern=_INSTANT)]

Duration = Annotated[str, StringConstraints(pattern=f"^{DURATION_PATTERN}$", max_length=64)]
"""A span of time: numbers with ``us ms s m h d w``, such as ``1h30m`` or ``14d``."""

TextOperator = Literal["equals", "starts-with", "ends-with", "contains", "one-of", "not-one-of", "matches", "glob"]
"""``matches``: an RE2 regular expression found anywhere in the text. ``glob``: ``*`` and ``?`` over the whole text."""

VersionOperator = Literal[
    "equals", "starts-with", "ends-with", "contains", "one-of", "not-one-of", "matches", "glob", "semver"
]
"""``semver``: a range of semantic versions, such as ``>=1.2 <2`` or ``^1.4``; the text may begin with ``v``."""

NumberOperator = Literal[">=", ">", "=", "!=", "<", "<="]
SpanOperator = Literal[">=", ">", "<", "<="]


class TagRule(Frozen):
    """The tag that was pushed."""

    field: Literal["tag"]
    operator: VersionOperator
    values: Annotated[tuple[Text, ...], Field(min_length=1, max_length=VALUES_MAX)]


class SetRule(Frozen):
    """Something of which an image has many: one of them must fit; with ``not-one-of`` none may."""

    field: Literal["component.name", "license.name", "platform"]
    operator: TextOperator
    values: Annotated[tuple[Text, ...], Field(min_length=1, max_length=VALUES_MAX)]


class NamedRule(Frozen):
    """A label of the image's configuration (on every platform), or an annotation of its manifest or index."""

    field: Literal["label", "annotation"]
    #: Which one, such as ``org.opencontainers.image.version``.
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    operator: VersionOperator
    values: Annotated[tuple[Text, ...], Field(min_length=1, max_length=VALUES_MAX)]


class CountRule(Frozen):
    """How many vulnerabilities the scans found, those overridden not counted.

    ``vulnerability_critical`` is a CVSS score of 7.0 and more, ``major`` 4.0 to below 7.0, ``minor`` below 4.0; without
    a score the scanner's severity decides. ``severity_*`` is the scanner's severity.
    """

    field: Literal[
        "vulnerability_all",
        "vulnerability_critical",
        "vulnerability_major",
        "vulnerability_minor",
        "severity_critical",
        "severity_high",
        "severity_medium",
        "severity_low",
        "severity_negligible",
        "severity_unknown",
    ]
    operator: NumberOperator
    values: Annotated[tuple[CountText, ...], Field(min_length=1, max_length=VALUES_MAX)]


class SizeRule(Frozen):
    """The compressed size of the image: bytes, or a number with a unit. Of several platforms, their sum."""

    field: Literal["size"]
    operator: NumberOperator
    values: Annotated[tuple[SizeText, ...], Field(min_length=1, max_length=VALUES_MAX)]


class InstantRule(Frozen):
    """When the tag was last updated in this repository: before or after a moment (RFC 3339)."""

    field: Literal["updated_at"]
    operator: Literal["before", "after"]
    values: Annotated[tuple[InstantText, ...], Field(min_length=1, max_length=VALUES_MAX)]


class SinceRule(Frozen):
    """When the tag was last updated: ``before 72h`` is more than 72 hours ago, ``after 72h`` is less."""

    field: Literal["updated_at_duration"]
    operator: Literal["before", "after"]
    values: Annotated[tuple[Duration, ...], Field(min_length=1, max_length=VALUES_MAX)]


class SpanRule(Frozen):
    """``age``: since the image was built. ``soak``: since its digest was first seen in this repository."""

    field: Literal["age", "soak"]
    operator: SpanOperator
    values: Annotated[tuple[Duration, ...], Field(min_length=1, max_length=VALUES_MAX)]


class SignedRule(Frozen):
    """Which configured keys a signature was checked with: one of them, or all of them."""

    field: Literal["signed-by"]
    operator: Literal["one-of", "all-of"]
    values: Annotated[tuple[Text, ...], Field(min_length=1, max_length=VALUES_MAX)]


class ApprovedRule(Frozen):
    """How many people approved this digest for this policy; those who pushed it do not count."""

    field: Literal["approved"]
    operator: Literal[">="]
    values: Annotated[tuple[PeopleText, ...], Field(min_length=1, max_length=1)]


class WindowRule(Frozen):
    """When the policy may act: ``Mon-Fri 09:00-17:00``, ``Sat,Sun``, or ``2026-12-20/2027-01-02``.

    Outside of the window, or within a freeze, the rule waits until it opens.
    """

    field: Literal["window"]
    operator: Literal["inside", "outside"]
    values: Annotated[tuple[Text, ...], Field(min_length=1, max_length=VALUES_MAX)]
    #: The time zone that the values are in, by its IANA name.
    timezone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")] = "UTC"


Rule = Annotated[
    TagRule
    | SetRule
    | NamedRule
    | CountRule
    | SizeRule
    | InstantRule
    | SinceRule
    | SpanRule
    | SignedRule
    | ApprovedRule
    | WindowRule,
    Field(discriminator="field"),
]
