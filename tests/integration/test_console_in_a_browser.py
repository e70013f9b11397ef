"""The console in a real browser: its form logs in under its own headers, and hostile names stay text (S20)."""

from pathlib import Path

import pytest

from streams.gateway.following import Follower
from streams.projection.projection import Projection
from streams.serving import serving
from tests.support.browser import NAME, browsing
from tests.support.builders import policy, published, pushed, rule_on
from tests.support.gateways import NOW, app
from tests.support.world import World

TOKEN = "canary-reader-4711"
HOSTILE = "\"'><img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
LOG_IN = f"document.querySelector('#token').value = '{TOKEN}'; document.querySelector('main button').click()"


# To a name in plain HTTP browsers do not say by Fetch Metadata where a form is from: there `Origin` has to be enough.
@pytest.mark.parametrize("host", ["127.0.0.1", NAME])
async def test_a_reader_logs_in_looks_around_and_logs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("AUDITOR", TOKEN)
    world = World()
    told = policy("to-qa", "first/dev/app", "first/qa/app", rule_on("label", "equals", HOSTILE, name=HOSTILE))
    await world.record(published(told), pushed("first/dev/app:v1", "v1", actor=HOSTILE))
    async with Projection(world.log) as projection:
        follower = Follower(projection, lambda: NOW)
        await follower.look()
        application = app(world.log, readers={"auditor": "env:AUDITOR"}, follower=follower)
        async with serving(application) as served, browsing(tmp_path / "profile") as tab:
            url = served.replace("127.0.0.1", host)
            await tab.go(f"{url}/explain/first/dev/app:v1")
            await tab.shows("Token of a reader")
            await tab.evaluate(LOG_IN)
            await tab.shows("Why first/dev/app:v1 is what it is")
            assert await tab.evaluate("document.cookie") == ""
            for path in ("/", "/policies"):
                await tab.go(url + path)
                await tab.shows(HOSTILE)
                assert "Towline" in await tab.evaluate("document.title")
                assert await tab.evaluate("document.querySelectorAll('img, main script').length") == 0
            assert await tab.evaluate("getComputedStyle(document.querySelector('.skip')).position") == "absolute"
            await tab.narrow(390)
            await tab.go(url)
            assert await tab.evaluate("document.documentElement.scrollWidth") == 390
            await tab.evaluate("document.querySelector('form[action=\"/logout\"] button').click()")
            await tab.shows("Token of a reader")
            assert tab.complaints == []
