"""Each request at a hook counts once, by what it was answered."""

import re
from pathlib import Path

from streams.memory_log import MemoryLog
from tests.support.gateways import OPEN, app, calling
from tests.unit.dialects.deliveries import distribution, distribution_event, fixture
from towline import limits
from towline.errors import LogUnavailableError
from towline.hook_settings import HookSettings

BODY = distribution(distribution_event()).body


async def test_what_became_of_requests_is_counted_by_hook(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")

    async def away(_: object) -> None:
        raise LogUnavailableError("away")

    log = MemoryLog()
    hooks = {
        "local": OPEN,
        "acr": OPEN.model_copy(update={"dialect": "acr"}),
        "slow": OPEN.model_copy(update={"rate": 0.1}),
        "closed": HookSettings(registry="local", token=f"file:{tmp_path / 'secret'}"),
    }
    async with calling(app(log, hooks=hooks, monotonic=lambda: 0.0)) as client:
        for _ in range(2):
            await client.post("/hooks/slow", content=BODY)
        await client.post("/hooks/local", content=b"{")
        await client.post("/hooks/local", content=BODY, headers={"content-encoding": "gzip"})
        await client.post("/hooks/local", content=b" " * (limits.hook_body_bytes + 1))
        await client.post("/hooks/closed", content=BODY)
        await client.post("/hooks/canary", content=BODY)
        question = fixture("acr", "event-grid-question")
        await client.post("/hooks/acr", content=question.body, headers=dict(question.headers))
        log.before_append = away
        await client.post("/hooks/local", content=BODY)
        text = (await client.get("/metrics")).text
    found = dict(re.findall(r'towline_deliveries_total{hook="([a-z]+",result="[a-z-]+)"} (\S+)', text))
    assert found == {
        'slow",result="accepted': "1.0",
        'slow",result="too-many': "1.0",
        'local",result="unusable': "2.0",
        'local",result="too-large': "1.0",
        'local",result="unavailable': "1.0",
        'closed",result="unauthorized': "1.0",
        'other",result="unknown': "1.0",
        'acr",result="handshake': "1.0",
    }
    assert "canary" not in text
