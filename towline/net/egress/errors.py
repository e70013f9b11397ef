"""A request that must not be made."""

from typing import ClassVar

from towline.errors import InfrastructureError


class EgressRefusedError(InfrastructureError):
    """An address that requests must not go to. It stays so until the settings or the address change."""

    retryable: ClassVar[bool] = False
