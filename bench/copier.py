"""``python -m bench.copier``: for each line of standard input, copies all tags of a repository.

A line is ``SOURCE_URL TARGET_URL SOURCE_NAME TARGET_NAME``. Every tag is resolved and copied as the transferrer does
it: the same engine and event loop, as many at a time. Like the tools that it is compared with it copies no referrers.
Nothing is kept from one line to the next, neither connections nor what is known of blobs. Each is answered by a line of
JSON: the outcomes by type, and the most memory that the process had so far.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import uvloop

from schemas.commands import CopyImage
from schemas.policies import CopyOptions
from schemas.references import Reference, Repository
from towline import limits
from towline.failpoints import Failpoints
from towline.registry import CopyEngine, Registries, carry_out
from towline.registry.parallel import each
from towline.settings import RegistrySettings


async def _copy_all(registries: Registries, source: Repository, target: Repository) -> Counter[str]:
    client = registries(source.registry)
    tags = [tag async for tag in client.list_tags(source.name)]
    engine = CopyEngine(registries, Failpoints())

    async def transfer(tag: str) -> str:
        digest = await client.resolve(source.name, tag)
        command = _command(source, target, tag, digest)
        return type(await carry_out(digest, command, engine)).__name__

    return Counter(await each(tags, transfer, at_a_time=limits.parallel_transfer_count))


def _command(source: Repository, target: Repository, tag: str, digest: str) -> CopyImage:
    return CopyImage(
        decision_id="0" * 64,
        policy="benchmark",
        source=Reference(source, tag),
        digest=digest,
        target=Reference(target, tag),
        hops=1,
        options=CopyOptions(referrers=False),
    )


async def _copy(source_url: str, target_url: str, source: str, target: str) -> Counter[str]:
    names = {source_url: "source"} | ({} if target_url == source_url else {target_url: "target"})
    settings = {name: RegistrySettings(url=url) for url, name in names.items()}
    async with Registries(settings) as registries:
        return await _copy_all(
            registries,
            Repository(names[source_url], source),
            Repository(names[target_url], target),
        )


async def _main() -> None:
    # The loop has nothing else to do while it waits for a line.
    for line in sys.stdin:
        outcomes = await _copy(*line.split())
        print(json.dumps({"outcomes": outcomes, "peak_mib": _peak_mib()}), flush=True)


def _peak_mib() -> float:
    """Return the most memory that this program had; what ``getrusage`` tells includes its parent's before the start."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    uvloop.run(_main())
