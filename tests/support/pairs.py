"""A source and a target registry with scripted faults around them, and the engine that copies between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

from schemas.commands import CopyImage
from schemas.descriptors import Descriptor
from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.faults import Faults
from tests.support.images import copy_command
from towline.failpoints import Failpoints
from towline.registry import (
    Attempts,
    CopyEngine,
    Registries,
    RegistryClient,
    TransferOutcome,
    carry_out,
    push_image,
)
from towline.registry.attestation import Attestor
from towline.settings import EgressSettings, RegistryLimits, RegistrySettings

TARGET = "target/qa/app:1.0"


@dataclass
class Pair:
    """``source`` and ``target`` are the names of the registries.

    Pauses between attempts and waits for a registry's turn are recorded instead of slept.
    """

    source: LocalRegistry
    target: LocalRegistry
    source_faults: Faults
    target_faults: Faults
    registries: Registries
    waits: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    jitter: float = 1.0

    @property
    def source_client(self) -> RegistryClient:
        return self.registries("source")

    @property
    def target_client(self) -> RegistryClient:
        return self.registries("target")

    async def push(self, *layers: bytes, tag: str = "1.0") -> Descriptor:
        return await push_image(self.source_client, "dev/app", tag, layers or (b"first layer", b"second layer"))

    def command(self, image: Descriptor | str, target: str = TARGET, **options: Any) -> CopyImage:
        digest = image if isinstance(image, str) else image.digest
        return copy_command("source/dev/app:1.0", digest, target, **options)

    def engine(self, failpoints: str = "", attestor: Attestor | None = None) -> CopyEngine:
        return CopyEngine(self.registries, Failpoints(failpoints), attestor=attestor, sleep=self.sleep)

    @property
    def attempts(self) -> Attempts:
        return Attempts(sleep=self.sleep, jitter=lambda: self.jitter)

    async def carry_out(self, image: Descriptor | str, target: str = TARGET, **options: Any) -> TransferOutcome:
        command = self.command(image, target, **options)
        return await carry_out("c" * 64, command, self.engine(), attempts=self.attempts)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def target_digest(self, repository: str = "qa/app", tag: str = "1.0") -> str | None:
        found = self.target.store.repositories.get(repository)
        return found.tags.get(tag) if found else None

    def assert_clean(self) -> None:
        """No name came before its content, and no upload session was left behind."""
        assert self.source.violations == []
        assert self.target.violations == []
        assert self.target.store.uploads == {}


@asynccontextmanager
async def serving_all(*apps: ASGIApp) -> AsyncIterator[tuple[str, ...]]:
    """Serve several apps and stop them together: each takes a moment to stop."""
    leaving = asyncio.Event()

    async def serve(app: ASGIApp, started: asyncio.Future[str]) -> None:
        async with serving(app) as url:
            started.set_result(url)
            await leaving.wait()

    async with asyncio.TaskGroup() as group:
        urls: list[asyncio.Future[str]] = [asyncio.get_running_loop().create_future() for _ in apps]
        for app, started in zip(apps, urls, strict=True):
            group.create_task(serve(app, started))
        try:
            yield tuple([await url for url in urls])
        finally:
            leaving.set()


@asynccontextmanager
async def pair_of_registries(egress: EgressSettings | None = None, **allowed: Any) -> AsyncIterator[Pair]:
    """Serve two registries; ``allowed`` limits how both are used, ``egress`` says where else they may send us."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    source, target = LocalRegistry(), LocalRegistry()
    source_faults, target_faults = Faults(source), Faults(target)
    async with serving_all(source_faults, target_faults) as (source_url, target_url):
        urls = {"source": source_url, "target": target_url}
        settings = {name: RegistrySettings(url=url, limits=RegistryLimits(**allowed)) for name, url in urls.items()}
        async with Registries(settings, egress=egress or EgressSettings(), sleep=wait) as registries:
            yield Pair(source, target, source_faults, target_faults, registries, waits)
