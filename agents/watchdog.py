"""The watchdog: ends a process whose partitions nobody works on.

Faust recovers its table after each rebalance. If that never ends, the process stays in its group, keeps its partitions
from others and does nothing. Ending it gives them away; nothing is lost, because nothing was acknowledged.
"""

import asyncio
import time
from collections.abc import Callable, Collection

from towline import limits
from towline.errors import NoAnswerError


class Watchdog:
    """Compares what Faust was assigned with what a shell works on.

    ``assigned`` gives the partitions of the consumer, ``owns`` tells whether work on one has begun, and
    ``is_rebalancing`` whether Faust is still busy with an assignment.
    """

    def __init__(
        self,
        name: str,
        assigned: Callable[[], Collection[int]],
        owns: Callable[[int], bool],
        is_rebalancing: Callable[[], bool],
    ) -> None:
        self._name = name
        self._assigned = assigned
        self._owns = owns
        self._is_rebalancing = is_rebalancing
        self._idle_since: float | None = None

    def check(self, now: float) -> None:
        """Look once, at monotonic time ``now`` in seconds.

        Raises:
            NoAnswerError: partitions are without work for longer than ``limits.takeover_timeout_seconds``.
        """
        idle = sorted(partition for partition in self._assigned() if not self._owns(partition))
        if not idle and not self._is_rebalancing():
            self._idle_since = None
            return
        if self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since > limits.takeover_timeout_seconds:
            what = f"partitions {idle}" if idle else "an assignment"
            raise NoAnswerError(
                f"{self._name}: {what} not taken over within {limits.takeover_timeout_seconds:.0f} s: "
                "ending, so that another worker can"
            )


async def watch(dogs: Collection[Watchdog], on_failure: Callable[[BaseException], None]) -> None:
    """Look again and again, until cancelled or until one finds something."""
    while True:
        await asyncio.sleep(limits.takeover_timeout_seconds / 10)
        for dog in dogs:
            try:
                dog.check(time.monotonic())
            except NoAnswerError as error:
                on_failure(error)
                return
