"""Licences as alternatives: SPDX licence expressions (SPDX 2.3, annex D) in disjunctive normal form."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha256
from itertools import product
from typing import Any, Final

from license_expression import ExpressionError, LicenseSymbol, Licensing, get_license_index

from towline import limits

Alternative = frozenset[str]
Licences = tuple[tuple[str, ...], ...]
"""Alternatives, each the licences that apply together; as in :class:`schemas.facts.Component`."""

#: What SPDX writes where nothing is known, and nothing is claimed.
_UNKNOWN: Final = frozenset({"", "NOASSERTION", "NONE"})


def licences_of(texts: Iterable[str]) -> Licences:
    """Return the licences of a component for which ``texts`` apply together, each an SPDX expression or a name.

    Ids of the SPDX list are written as there, whatever their case, and retired ones by their successor. A name that is
    no id stays as it is. A text that is too long for a name, or has several lines, is the licence itself and stands as
    ``LicenseRef-text-`` with the beginning of its SHA-256. More than ``limits.license_alternative_count`` alternatives
    become one in which all licences apply together, which is the strictest reading.
    """
    found = [alternatives for text in texts if (alternatives := _alternatives(text.strip()))]
    if not found:
        return ()
    return tuple(sorted(tuple(sorted(each)) for each in _strictest_beyond_bound(found, lambda: _all_of(found))))


# Images have thousands of packages and a few dozen licences.
@lru_cache(maxsize=4096)
def _alternatives(text: str) -> frozenset[Alternative]:
    if text in _UNKNOWN:
        return frozenset()
    if len(text) > limits.license_expression_characters or "\n" in text or "\r" in text:
        return _one(_text_id(text))
    opened = text.count("(")
    if opened > limits.license_nesting_depth or opened != text.count(")"):
        return _one(_named(text))
    try:
        parsed = _licensing().parse(text)
    except (ExpressionError, LookupError):
        # Not an expression: people write `GPL v2` and `see COPYING`, and that is the name of their licence. The parser
        # does not expect `()`, and fails with the latter.
        return _one(_named(text))
    return _strictest_beyond_bound([_ids(parsed)], lambda: _normal_form(parsed))


class _TooManyError(Exception):
    """More alternatives than are taken."""


def _strictest_beyond_bound(
    parts: list[frozenset[Alternative]], normal_form: Callable[[], frozenset[Alternative]]
) -> frozenset[Alternative]:
    try:
        return normal_form()
    except _TooManyError:
        return frozenset({Alternative().union(*(each for part in parts for each in part))})


def _ids(node: Any) -> frozenset[Alternative]:
    if node.args and _operator(node):
        return frozenset(each for child in node.args for each in _ids(child))
    return _one(_named(node.render()))


def _normal_form(node: Any) -> frozenset[Alternative]:
    operator = _operator(node)
    if operator == "OR":
        return _bounded(each for child in node.args for each in _normal_form(child))
    if operator == "AND":
        return _all_of([_normal_form(child) for child in node.args])
    return _one(_named(node.render()))


def _operator(node: Any) -> str:
    return str(getattr(node, "operator", "")).strip().upper()


def _all_of(parts: list[frozenset[Alternative]]) -> frozenset[Alternative]:
    joined = parts[0]
    for part in parts[1:]:
        joined = _bounded(left | right for left, right in product(joined, part))
    return joined


def _bounded(alternatives: Iterable[Alternative]) -> frozenset[Alternative]:
    found = frozenset(alternatives)
    if len(found) > limits.license_alternative_count:
        raise _TooManyError
    return found


def _one(name: str) -> frozenset[Alternative]:
    return frozenset({Alternative({name})})


def _named(name: str) -> str:
    return name if len(name) <= limits.license_name_characters else _text_id(name)


def _text_id(text: str) -> str:
    return f"LicenseRef-text-{sha256(text.encode()).hexdigest()[:16]}"


@lru_cache(maxsize=1)
def _licensing() -> Licensing:
    # The library's own index also takes its publisher's LicenseRefs for aliases of SPDX ids; they are not on the list.
    symbols = []
    for entry in get_license_index():
        key = entry.get("spdx_license_key") or ""
        if key and not key.startswith("LicenseRef-"):
            others = entry.get("other_spdx_license_keys") or []
            aliases = [other for other in others if not other.startswith("LicenseRef-")]
            symbols.append(LicenseSymbol(key, aliases=aliases, is_exception=bool(entry.get("is_exception"))))
    return Licensing(symbols)
