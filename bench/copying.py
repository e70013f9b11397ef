"""Copies by the engine against skopeo and crane: between and within CNCF distribution on loopback.

Everybody does the same: all tags of one repository, from the start of a process to its end. Ours is
:mod:`bench.copier`.
"""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from bench.peers import crane, skopeo
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
_SOURCE: Final = "dev/app"
_RUN_SECONDS: Final = 300.0

Copy = Callable[[str, str, str], Any]
"""Copies all tags from one registry's URL to another's, into a repository that is named like the source: ``X/app``."""


def copy_cold_vs_skopeo(runs: int) -> list[float]:
    return _cold(runs, by_skopeo(), push_images)


def copy_cold_vs_crane(runs: int) -> list[float]:
    return _cold(runs, by_crane(), push_images)


def promote_vs_skopeo(runs: int) -> list[float]:
    return _promote(runs, by_skopeo())


def promote_vs_crane(runs: int) -> list[float]:
    return _promote(runs, by_crane())


def recopy_vs_skopeo(runs: int) -> list[float]:
    return _recopy(runs, by_skopeo())


def recopy_vs_crane(runs: int) -> list[float]:
    return _recopy(runs, by_crane())


def blob_vs_crane(runs: int) -> list[float]:
    return _cold(runs, by_crane(), push_large)


def blob_memory_mib(runs: int) -> list[float]:
    """Return the most memory that the process had."""
    with _source(push_large) as source:
        peaks = []
        for _ in range(runs):
            with distribution() as target:
                peaks.append(float(by_towline(source, target, "copied/app")["peak_mib"]))
        return peaks


def by_towline(source: str, target: str, wanted: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(_run([sys.executable, "-m", "bench.copier", source, target, _SOURCE, wanted]))
    assert set(report["outcomes"]) <= {"TransferCompleted", "TransferSkipped"}, report
    return report


def by_skopeo() -> Copy:
    plain = ["--src", "docker", "--dest", "docker", "--src-tls-verify=false", "--dest-tls-verify=false"]
    command = [skopeo(), "sync", *plain]

    def copy(source: str, target: str, wanted: str) -> None:
        _run([*command, f"{_host(source)}/{_SOURCE}", f"{_host(target)}/{wanted.rpartition('/')[0]}"])

    return copy


def by_crane() -> Copy:
    command = [crane(), "cp", "--all-tags"]

    def copy(source: str, target: str, wanted: str) -> None:
        _run([*command, f"{_host(source)}/{_SOURCE}", f"{_host(target)}/{wanted}"])

    return copy


def _host(url: str) -> str:
    return url.partition("://")[2]


def _run(command: Sequence[str]) -> str:
    with tempfile.TemporaryFile() as errors:
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, timeout=_RUN_SECONDS, check=False)
        errors.seek(0)
        assert ended.returncode == 0, errors.read()[-2000:].decode(errors="replace")
    return ended.stdout.decode()


def _seconds(copy: Copy, source: str, target: str, wanted: str) -> float:
    start = time.perf_counter()
    copy(source, target, wanted)
    return time.perf_counter() - start


def _cold(runs: int, peer: Copy, push: Callable[[RegistryClient], Any]) -> list[float]:
    """Return their time by ours, each into a registry that has nothing."""

    def fresh(copy: Copy) -> float:
        with distribution() as target:
            return _seconds(copy, source, target, "copied/app")

    with _source(push) as source:
        return [fresh(peer) / fresh(by_towline) for _ in range(runs)]


def _promote(runs: int, peer: Copy) -> list[float]:
    """Return their time by ours, each into new repositories of the source's registry."""
    with _source(push_images) as source:
        return [
            _seconds(peer, source, source, f"theirs-{run}/app")
            / _seconds(by_towline, source, source, f"ours-{run}/app")
            for run in range(runs)
        ]


def _recopy(runs: int, peer: Copy) -> list[float]:
    """Return their time by ours when the target has everything."""
    with _source(push_images) as source, distribution() as target:
        by_towline(source, target, "copied/app")
        return [
            _seconds(peer, source, target, "copied/app") / _seconds(by_towline, source, target, "copied/app")
            for _ in range(runs)
        ]


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
        await push_image(client, _SOURCE, f"v{number}", layers, labels={"number": str(number)})


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

    await client.put_blob(await client.start_upload(_SOURCE), layer, chunks)
    await push_manifest_of(client, _SOURCE, "large", [layer])
