"""What the contract's rules can say, taken from their models."""

from typing import get_args

from schemas.rules import Rule

MODELS = get_args(get_args(Rule)[0])


def pairs() -> set[tuple[str, str]]:
    """Return every field with every operator that the models allow."""
    return {
        (field, operator)
        for model in MODELS
        for field in get_args(model.model_fields["field"].annotation)
        for operator in get_args(model.model_fields["operator"].annotation)
    }
