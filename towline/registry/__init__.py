"""Registries: the client, the copy engine, and what can go wrong."""

from towline.registry.attempts import Attempts
from towline.registry.client import RegistryClient
from towline.registry.copy import CopyEngine
from towline.registry.errors import RegistryError
from towline.registry.images import push_image
from towline.registry.progress import CopyProgress, CopyReport
from towline.registry.registries import Registries
from towline.registry.removal import RemovalOutcome, remove
from towline.registry.transfer import TransferOutcome, carry_out

__all__ = [
    "Attempts",
    "CopyEngine",
    "CopyProgress",
    "CopyReport",
    "Registries",
    "RegistryClient",
    "RegistryError",
    "RemovalOutcome",
    "TransferOutcome",
    "carry_out",
    "push_image",
    "remove",
]
