"""How often a sender may come."""

import math
from collections.abc import Callable

from towline import limits


class Rate:
    """A bucket of turns that fills by ``per_second``, up to those of ``limits.hook_burst_seconds``, one at least."""

    def __init__(self, per_second: float, monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._full = max(1.0, per_second * limits.hook_burst_seconds)
        self._monotonic = monotonic
        self._turns = self._full
        self._at = monotonic()

    def take(self) -> int:
        """Take a turn and return 0; or return after how many whole seconds there will be one."""
        now = self._monotonic()
        self._turns = min(self._full, self._turns + (now - self._at) * self._per_second)
        self._at = now
        if self._turns >= 1.0:
            self._turns -= 1.0
            return 0
        return max(1, math.ceil((1.0 - self._turns) / self._per_second))
