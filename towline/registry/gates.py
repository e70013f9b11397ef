"""Places that many may work in together, or one alone."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Gates:
    """Who works in which place. Whoever wants to be alone waits until nobody else is there; others come first."""

    def __init__(self) -> None:
        self._together: Counter[Hashable] = Counter()
        self._alone: set[Hashable] = set()
        self._left: dict[Hashable, asyncio.Event] = {}

    @asynccontextmanager
    async def together(self, place: Hashable) -> AsyncIterator[None]:
        """Work in a place beside others."""
        while place in self._alone:
            await self._somebody_leaves(place)
        self._together[place] += 1
        try:
            yield
        finally:
            self._together[place] -= 1
            if not self._together[place]:
                del self._together[place]
            self._leave(place)

    @asynccontextmanager
    async def alone(self, place: Hashable) -> AsyncIterator[None]:
        """Work in a place where nobody else works."""
        while place in self._alone or place in self._together:
            await self._somebody_leaves(place)
        self._alone.add(place)
        try:
            yield
        finally:
            self._alone.discard(place)
            self._leave(place)

    async def _somebody_leaves(self, place: Hashable) -> None:
        await self._left.setdefault(place, asyncio.Event()).wait()

    def _leave(self, place: Hashable) -> None:
        if (waited_for := self._left.pop(place, None)) is not None:
            waited_for.set()
