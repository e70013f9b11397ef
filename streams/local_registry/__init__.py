"""A small registry inside the process, in memory, for demonstrations and tests. It has no access control."""

from streams.local_registry.app import LocalRegistry

__all__ = ["LocalRegistry"]
