"""``python -m tests.support.interruptions.copier SOURCE_URL TARGET_URL COMMANDS ENDS``: copies, and can be killed.

COMMANDS has an envelope a line. Those that have no line in ENDS yet are carried out as the transferrer does it: the
same engine and event loop, as many at a time, stopped by SIGTERM. Each outcome becomes a line of ENDS, which is there.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

import uvloop

from schemas.catalogue import decode
from schemas.envelope import Envelope
from towline import limits
from towline.failpoints import Failpoints
from towline.registry import CopyEngine, Registries, carry_out
from towline.registry.parallel import each
from towline.settings import RegistrySettings


async def _copy_all(source_url: str, target_url: str, commands: BinaryIO, ends: BinaryIO) -> None:
    settings = {"source": RegistrySettings(url=source_url), "target": RegistrySettings(url=target_url)}
    ended = {line.split()[0].decode() for line in ends}
    left = [it for it in map(decode, commands) if it.id not in ended]

    async def carry_out_one(envelope: Envelope[Any]) -> None:
        outcome = await carry_out(envelope.id, envelope.data, engine)
        ends.write(f"{envelope.id} {type(outcome).__name__}\n".encode())

    async with Registries(settings) as registries:
        engine = CopyEngine(registries, Failpoints())
        await each(left, carry_out_one, at_a_time=limits.parallel_transfer_count)


async def _main(source_url: str, target_url: str, commands: BinaryIO, ends: BinaryIO) -> None:
    task = asyncio.ensure_future(_copy_all(source_url, target_url, commands, ends))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


if __name__ == "__main__":
    # Without a buffer: what is written is written, whatever becomes of the process.
    with Path(sys.argv[3]).open("rb") as commands, Path(sys.argv[4]).open("r+b", buffering=0) as ends:
        uvloop.run(_main(sys.argv[1], sys.argv[2], commands, ends))
