"""What the parts of the settings are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

CredentialReference = Annotated[str, StringConstraints(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")]
"""Where a secret is: ``env:NAME`` or ``file:PATH``."""


class Part(BaseModel):
    """A mapping of the settings: nothing in it is unknown, and nothing changes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
