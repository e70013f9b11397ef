"""Policy files: YAML as people write it."""

from collections.abc import Collection

import orjson
import yaml
from pydantic import ValidationError

from schemas.catalogue import problems_in
from schemas.policies import PolicySet
from towline.errors import PolicyError
from towline.policy.check import problems_of


def read_policies(text: str, registries: Collection[str]) -> PolicySet:
    """Return the policy set of a file's text, checked against the names of the known registries.

    Raises:
        PolicyError: the text is not YAML, not a policy file, or a policy can never be right; with every problem found.
    """
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PolicyError([f"not YAML: {' '.join(str(error).split())}"]) from None
    if not isinstance(loaded, dict):
        raise PolicyError(["a policy file begins with `policies:` and a list"])
    try:
        policies = PolicySet.model_validate_json(orjson.dumps(loaded, option=orjson.OPT_PASSTHROUGH_DATETIME))
    except ValidationError as error:
        raise PolicyError(problems_in(error)) from None
    except TypeError as error:
        raise PolicyError([f"{error}: write dates and other special values in quotes"]) from None
    problems = problems_of(policies, registries)
    if problems:
        raise PolicyError(problems)
    return policies
