"""One flight per thing: of those who want the same done at the same time, one does it and the others wait."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Flight:
    over: asyncio.Event = field(default_factory=asyncio.Event)
    landed: bool = False


class Flights:
    """The flights under way."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight] = {}

    @asynccontextmanager
    async def join(self, key: Hashable) -> AsyncIterator[bool]:
        """Yield True when the caller has to do it, False when somebody else just did.

        When the one who does it fails or is cancelled, the next one who waited has to.
        """
        while (other := self._flights.get(key)) is not None:
            await other.over.wait()
            if other.landed:
                yield False
                return
        flight = self._flights[key] = _Flight()
        try:
            yield True
            flight.landed = True
        finally:
            del self._flights[key]
            flight.over.set()

    @asynccontextmanager
    async def alone(self, key: Hashable) -> AsyncIterator[None]:
        """Hold a thing for which no two may work at the same time; everybody's turn comes."""
        while (other := self._flights.get(key)) is not None:
            await other.over.wait()
        flight = self._flights[key] = _Flight()
        try:
            yield
        finally:
            del self._flights[key]
            flight.over.set()
