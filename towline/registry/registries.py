"""The registries of the settings, each opened when first used."""

import asyncio
import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from towline.errors import SettingsError
from towline.net.egress.guard import Egress
from towline.registry.client import RegistryClient
from towline.registry.pace import Sleep
from towline.settings import EgressSettings, RegistrySettings

_logger: Final = logging.getLogger(__name__)


class Registries:
    """Clients by registry name. Calling it with a name returns that registry's client; leaving it closes all.

    Their limits hold for everything that is done through one object. Where a registry sends us, beyond its own host and
    port, is up to ``egress``. ``sleep`` is how they wait for their turn.
    """

    def __init__(
        self,
        registries: Mapping[str, RegistrySettings],
        *,
        egress: EgressSettings = EgressSettings(),  # noqa: B008 - it cannot change
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._settings = registries
        self._egress = Egress.of(egress)
        self._sleep = sleep
        self._clients: dict[str, RegistryClient] = {}

    def __call__(self, name: str) -> RegistryClient:
        """Return the client of a registry.

        Raises:
            SettingsError: the settings name no such registry, or its ``ca_file`` cannot be used.
        """
        client = self._clients.get(name)
        if client is None:
            settings = self._settings.get(name)
            if settings is None:
                known = ", ".join(sorted(self._settings)) or "none"
                raise SettingsError(f"registry {name!r} is not in the settings; known are: {known}")
            if settings.insecure:
                _logger.warning("registry %s: certificates of %s are not checked", name, settings.url)
            client = self._clients[name] = RegistryClient(name, settings, egress=self._egress, sleep=self._sleep)
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every client that was opened."""
        while self._clients:
            _, client = self._clients.popitem()
            await client.aclose()
