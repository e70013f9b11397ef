"""JSON data fitted into models, and reasons for a sender: short and harmless to print, whatever the input was."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from towline.errors import UnusableInputError

ModelT = TypeVar("ModelT", bound=BaseModel)

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


def fitted(model: type[ModelT], value: Any, prefix: str = "", paths: Mapping[str, str] | None = None) -> ModelT:
    """Return JSON data as a model.

    ``prefix`` is the path of ``value`` in the input, such as ``events.3``; ``paths`` gives the sender's path for our
    name of a field.

    Raises:
        UnusableInputError: it does not fit; the reason has each path with what is wrong there.
    """
    try:
        # As JSON: only there is a text that should be a repository one problem and not one for each way to give it.
        return model.model_validate_json(orjson.dumps(value))
    except ValidationError as error:
        raise UnusableInputError(_reason(error, prefix, paths or {})) from None


def _reason(error: ValidationError, prefix: str, paths: Mapping[str, str]) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    found = []
    for problem in problems[:_PROBLEM_COUNT]:
        parts = [prefix] if prefix else []
        for part in problem["loc"]:
            name = str(part)
            plain = len(name) <= _SHOWN_LENGTH and name.isprintable()
            parts.append(paths.get(name, name) if plain else shown(name))
        message = problem["msg"]
        if len(message) > _MESSAGE_LENGTH:
            message = f"{message[:_MESSAGE_LENGTH]}..."
        path = ".".join(filter(None, parts))
        found.append(f"{path}: {message}" if path else message)
    if len(problems) > _PROBLEM_COUNT:
        found.append(f"and {len(problems) - _PROBLEM_COUNT} more")
    return "; ".join(found)
