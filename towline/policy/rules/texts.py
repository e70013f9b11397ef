"""Operators over texts: tags, names, labels."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import re2
from semantic_version import NpmSpec, Version

_COMPILED_MAX: Final = 4096
#: What one expression may cost; RE2 needs memory, never more time than the text is long.
_RE2_BYTES: Final = 1 << 20


def _options() -> "re2.Options":
    options = re2.Options()
    options.max_mem = _RE2_BYTES
    options.log_errors = False
    return options


@lru_cache(maxsize=_COMPILED_MAX)
def _expression(pattern: str) -> "re2._Regexp[str]":
    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        raise ValueError(f"{pattern!r} is not an RE2 expression: {_said(error)}") from None


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else error
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


@lru_cache(maxsize=_COMPILED_MAX)
def _glob(pattern: str) -> "re2._Regexp[str]":
    literal = re2.escape(pattern)
    return _expression("^(?s:" + literal.replace(r"\*", ".*").replace(r"\?", ".") + ")$")


@lru_cache(maxsize=_COMPILED_MAX)
def _range(text: str) -> NpmSpec:
    try:
        return NpmSpec(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a range of semantic versions, such as >=1.2 <2 or ^1.4: {error}") from None


def _is_in_range(actual: str, value: str) -> bool:
    wanted = _range(value)
    try:
        version = Version(actual.removeprefix("v"))
    except ValueError:
        return False  # A tag such as `latest` is no version, and so in no range.
    return bool(wanted.match(version))


_FITS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "equals": lambda actual, value: actual == value,
    "one-of": lambda actual, value: actual == value,
    "not-one-of": lambda actual, value: actual == value,
    "starts-with": lambda actual, value: actual.startswith(value),
    "ends-with": lambda actual, value: actual.endswith(value),
    "contains": lambda actual, value: value in actual,
    "matches": lambda actual, value: _expression(value).search(actual) is not None,
    "glob": lambda actual, value: _glob(value).search(actual) is not None,
    "semver": _is_in_range,
}


def holds(operator: str, actuals: tuple[str, ...], values: tuple[str, ...]) -> bool:
    """Tell whether one of the texts fits one of the values; with ``not-one-of``, whether none is among them.

    Raises:
        ValueError: a value is no expression or range. The check at apply refuses those; the log is not bound by it.
    """
    fits = _FITS[operator]
    found = any(fits(actual, value) for actual in actuals for value in values)
    return not found if operator == "not-one-of" else found


def value_problem(operator: str, value: str) -> str | None:
    """Return what is wrong with a value for this operator, or None."""
    try:
        if operator == "matches":
            _expression(value)
        elif operator == "semver":
            _range(value)
    except ValueError as error:
        return str(error)
    return None
