"""A real browser without a screen, told what to do over the Chrome DevTools Protocol.

It is Debian's ``chromium``, where it is installed; nothing is downloaded for it.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.waiting import eventually

SECONDS = 60
#: A name by which the browser finds this machine, and takes it for another one.
NAME = "console.test"


class Tab:
    """A page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._session: str | None = None
        #: What the browser complains about: violations of the policy of a page, errors of scripts.
        self.complaints: list[str] = []

    async def open(self) -> None:
        target = await self._call("Target.createTarget", url="about:blank")
        attached = await self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._call(f"{domain}.enable")

    async def listen(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                self._waiting.pop(told["id"]).set_result(told)
            elif told["method"] == "Log.entryAdded":
                entry = told["params"]["entry"]
                if entry["source"] in {"security", "javascript"}:
                    self.complaints.append(entry["text"])
            elif told["method"] in {"Runtime.exceptionThrown", "Page.javascriptDialogOpening"}:
                self.complaints.append(str(told["params"]))

    async def go(self, url: str) -> None:
        """Open an address, as somebody who types it."""
        await self._call("Page.navigate", url=url)
        await eventually(self._loaded, seconds=SECONDS, what=url)

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        told = await self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def shows(self, words: str) -> None:
        """Wait for a page that has loaded and has these words."""

        # In one look: between two of them the page may have been left.
        has_them = f"document.readyState === 'complete' && document.body.innerText.includes({json.dumps(words)})"

        async def is_there() -> bool:
            return bool(await self.evaluate(has_them))

        await eventually(is_there, seconds=SECONDS, what=words)

    async def narrow(self, width: int) -> None:
        """Show the page as a phone of this width does."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        await self._call("Emulation.setDeviceMetricsOverride", **size)

    async def _loaded(self) -> bool:
        return bool(await self.evaluate("document.readyState === 'complete' && location.href !== 'about:blank'"))

    async def _call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        call = {"id": number, "method": method, "params": params}
        await self._socket.send_json(call | ({"sessionId": self._session} if self._session else {}))
        async with asyncio.timeout(SECONDS):
            told = await self._waiting[number]
        # A page that is being left answers that it is gone.
        return told.get("result", {"result": {}})


@asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Tab]:
    """Start the browser with an empty profile in ``folder``; without one the test is skipped, everywhere."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no browser: apt install chromium")
    options = ["--headless", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    options += ["--no-first-run", "--no-proxy-server", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
    options += [f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    # Its sandbox does not work for root.
    options += ["--no-sandbox", "--disable-dev-shm-usage"] if os.geteuid() == 0 else []
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(program, *options, "about:blank", stdout=quiet, stderr=quiet)
    try:
        port_file = folder / "DevToolsActivePort"

        async def is_up() -> bool:
            return port_file.exists() and len(port_file.read_text().splitlines()) == 2

        await eventually(is_up, seconds=SECONDS, what="the browser")
        port, path = port_file.read_text().splitlines()
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0) as socket,
        ):
            tab = Tab(socket)
            listening = asyncio.create_task(tab.listen())
            try:
                await tab.open()
                yield tab
            finally:
                listening.cancel()
                await asyncio.wait([listening])
    finally:
        process.terminate()
        await process.wait()
