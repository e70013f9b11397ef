"""Reasons for a sender: short and harmless to print, whatever the input was."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

#: What of the sender's text is repeated, in characters: enough to recognise it.
_SHOWN_LENGTH: Final = 80

#: Problems named one by one. Whoever has more fixes these first.
_PROBLEM_COUNT: Final = 5

_MESSAGE_LENGTH: Final = 300


def shown(text: str) -> str:
    """Return ``text`` quoted, control and invisible characters escaped, the middle of a long one left out."""
    if len(text) > _SHOWN_LENGTH:
        half = _SHOWN_LENGTH // 2
        return f"{text[:half]!r}...{text[-half:]!r} ({len(text)} characters)"
    return repr(text)


def reason_of(error: ValidationError, prefix: str = "", paths: Mapping[str, str] | None = None) -> str:
    """Return a validation error as one line: each path with what is wrong there.

    ``prefix`` is the path of the validated value, such as ``events.3``; ``paths`` gives the sender's path for our name
    of a field.
    """
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    found = []
    for problem in problems[:_PROBLEM_COUNT]:
        parts = [prefix] if prefix else []
        for part in problem["loc"]:
            name = str(part)
            plain = len(name) <= _SHOWN_LENGTH and name.isprintable()
            parts.append((paths or {}).get(name, name) if plain else shown(name))
        message = problem["msg"]
        if len(message) > _MESSAGE_LENGTH:
            message = f"{message[:_MESSAGE_LENGTH]}..."
        path = ".".join(parts)
        found.append(f"{path}: {message}" if path else message)
    if len(problems) > _PROBLEM_COUNT:
        found.append(f"and {len(problems) - _PROBLEM_COUNT} more")
    return "; ".join(found)
