"""Processes that die at a file operation: from there on nothing that they do reaches the disk."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

#: What changes names and brings things to the disk.
OPERATIONS = ("open", "fsync", "replace", "unlink", "mkdir")


class KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@contextmanager
def killed_at(operation: int) -> Iterator[None]:
    """Let the process die at its n-th file operation, counted from 0, and not before."""
    left = operation

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise KilledError
            return real(*arguments, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in OPERATIONS:
            patch.setattr(os, name, dying(getattr(os, name)))
        yield


@contextmanager
def failing_at(operation: int, error: OSError) -> Iterator[list[int]]:
    """Let one file operation fail, the n-th; yields a list that is empty as long as it did not come to that."""
    count, failed = 0, list[int]()

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count - 1 == operation:
                failed.append(operation)
                raise error
            return real(*arguments, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in OPERATIONS:
            patch.setattr(os, name, failing(getattr(os, name)))
        yield failed
