"""Copies by the engine against skopeo and crane: between and within CNCF distribution on loopback.

Everybody does the same: all tags of one repository, from the start of a process to its end. Ours is
:mod:`bench.copier`. As Towline copies in workers that run for weeks, not in processes that begin with each copy, every
row also says what becomes of it in a process that has copied before: ``warm``. That process keeps nothing of its
earlier copies but its compiled code.

Nobody meets a cold source: ours has copied from it before the first run. Each run of ``copy_cold`` and ``blob`` has a
new registry as its target, each of ``promote`` a new repository.
"""

import asyncio
import hashlib
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from bench.programs import SOURCE, Copy, by_crane, by_skopeo, by_towline, running_towline
from schemas.descriptors import Descriptor
from tests.support.distribution import distribution
from tests.support.images import push_manifest_of
from towline.registry import Registries, RegistryClient, push_image
from towline.registry.images import LAYER_TYPE
from towline.settings import RegistrySettings

IMAGES: Final = 200
BASES: Final = 10
BASE_LAYER_BYTES: Final = 64 * 1024
OWN_LAYER_BYTES: Final = 4 * 1024
BLOB_BYTES: Final = 1024**3

_CHUNK_BYTES: Final = 1024 * 1024

Place = Callable[[], AbstractContextManager[tuple[str, str]]]
"""A URL and a repository to copy to, where no other copy of the run goes."""


@dataclass
class Ratios:
    """Their time by ours, run by run."""

    #: When each of our copies begins with a process, as theirs do.
    runs: list[float] = field(default_factory=list)
    #: When ours run in a process that has copied before.
    warm: list[float] = field(default_factory=list)


def copy_cold_vs_skopeo(runs: int) -> Ratios:
    return _cold(runs, by_skopeo(), push_images)


def copy_cold_vs_crane(runs: int) -> Ratios:
    return _cold(runs, by_crane(), push_images)


def promote_vs_skopeo(runs: int) -> Ratios:
    return _promote(runs, by_skopeo())


def promote_vs_crane(runs: int) -> Ratios:
    return _promote(runs, by_crane())


def recopy_vs_skopeo(runs: int) -> Ratios:
    return _recopy(runs, by_skopeo())


def recopy_vs_crane(runs: int) -> Ratios:
    return _recopy(runs, by_crane())


def blob_vs_crane(runs: int) -> Ratios:
    return _cold(runs, by_crane(), push_large)


def blob_memory_mib(runs: int) -> list[float]:
    """Return the most memory that the process had."""
    with _source(push_large) as source:
        peaks = []
        for _ in range(runs):
            with distribution() as target:
                peaks.append(float(by_towline(source, target, "copied/app")["peak_mib"]))
        return peaks


def _cold(runs: int, peer: Copy, push: Callable[[RegistryClient], Any]) -> Ratios:
    """Compare copies into registries that have nothing."""

    @contextmanager
    def place() -> Iterator[tuple[str, str]]:
        with distribution() as target:
            yield target, "copied/app"

    with _source(push) as source:
        return _compared(runs, peer, source, place)


def _promote(runs: int, peer: Copy) -> Ratios:
    """Compare copies into new repositories of the source's registry."""
    numbers = itertools.count()
    with _source(push_images) as source:
        return _compared(runs, peer, source, lambda: nullcontext((source, f"new-{next(numbers)}/app")))


def _recopy(runs: int, peer: Copy) -> Ratios:
    """Compare copies when the target has everything."""
    with _source(push_images) as source, distribution() as target:
        return _compared(runs, peer, source, lambda: nullcontext((target, "copied/app")))


def _compared(runs: int, peer: Copy, source: str, place: Place) -> Ratios:
    def seconds(copy: Copy) -> float:
        with place() as (target, wanted):
            start = time.perf_counter()
            copy(source, target, wanted)
            return time.perf_counter() - start

    ratios = Ratios()
    with running_towline() as by_running:
        seconds(by_running)
        for _ in range(runs):
            theirs, ours, warm = seconds(peer), seconds(by_towline), seconds(by_running)
            ratios.runs.append(theirs / ours)
            ratios.warm.append(theirs / warm)
    return ratios


@contextmanager
def _source(push: Callable[[RegistryClient], Any]) -> Iterator[str]:
    with ExitStack() as stack:
        url = stack.enter_context(distribution())

        async def fill() -> None:
            async with Registries({"source": RegistrySettings(url=url)}) as registries:
                await push(registries("source"))

        asyncio.run(fill())
        yield url


async def push_images(client: RegistryClient) -> None:
    """Push images of three layers that others have too and one of their own, which nothing compresses."""
    bases = [[os.urandom(BASE_LAYER_BYTES) for _ in range(3)] for _ in range(BASES)]
    for number in range(IMAGES):
        layers = [*bases[number % BASES], os.urandom(OWN_LAYER_BYTES)]
        await push_image(client, SOURCE, f"v{number}", layers, labels={"number": str(number)})


async def push_large(client: RegistryClient) -> None:
    """Push an image of one large layer."""
    chunk = os.urandom(_CHUNK_BYTES)
    hasher = hashlib.sha256()
    for _ in range(BLOB_BYTES // _CHUNK_BYTES):
        hasher.update(chunk)
    layer = Descriptor(media_type=LAYER_TYPE, digest=f"sha256:{hasher.hexdigest()}", size=BLOB_BYTES)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BLOB_BYTES // _CHUNK_BYTES):
            yield chunk

    await client.put_blob(await client.start_upload(SOURCE), layer, chunks)
    await push_manifest_of(client, SOURCE, "large", [layer])
