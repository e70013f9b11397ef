"""Running an ASGI app inside the current event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from towline.errors import InfrastructureError

#: How long open requests may go on when the server stops.
SHUTDOWN_SECONDS: Final = 5

#: How often the server renews what it keeps for all requests, such as the date.
_TICK_SECONDS: Final = 0.1
_TICKS_A_DAY: Final = 864_000

#: How often it looks whether open requests have ended when it stops.
_LEAVING_SECONDS: Final = 0.005


class ServingError(InfrastructureError):
    """The app could not be started: its address is taken, or its own start-up failed."""


class _Server(uvicorn.Server):
    """A server that leaves signals to its host, tells when it listens, and stops as soon as it is told to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.leaving = asyncio.Event()

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % _TICKS_A_DAY
            with suppress(TimeoutError):
                await asyncio.wait_for(self.leaving.wait(), _TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Do what uvicorn does, without its pause of a tenth of a second before it looks whether anything is open."""
        for closing in (*self.servers, *(sockets or ())):
            closing.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - sets tell nobody
                    await asyncio.sleep(_LEAVING_SECONDS)
        except TimeoutError:
            for task in list(self.server_state.tasks):
                task.cancel()
        await self.lifespan.shutdown()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def serving(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve ``app`` and yield its base URL without a slash at the end; port 0 takes a free one.

    On leaving, open requests may finish for some seconds.

    Raises:
        ServingError: the address cannot be had, or the app's start-up failed.
    """
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ServingError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    # Connections inherit it. The event loop sets it by itself only for sockets that name their protocol, and without it
    # an answer whose head and body are written apart waits some 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Nobody here looks at who a proxy says is behind it.
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, proxy_headers=False)
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]), name="serving")
    try:
        await _listening(server, running)
        bound = listener.getsockname()[1]
        yield f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
    finally:
        server.should_exit = True
        server.leaving.set()
        await running
        listener.close()


async def _listening(server: _Server, running: asyncio.Task[None]) -> None:
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait({listening, running}, return_when=asyncio.FIRST_COMPLETED)
    listening.cancel()
    if not server.started:
        raise ServingError("the app's start-up failed")
