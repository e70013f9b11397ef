"""Failpoints: the sites of the code are those that are declared, and every action does its work."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from towline.errors import SettingsError
from towline.failpoints import SITES, FailpointError, Failpoints

ROOT = Path(__file__).parents[2]
PACKAGES = ("agents", "streams", "towline")
#: Whose name a site takes from the agent that it is passed by; those of the runner, from one that carries out commands.
AGENTS = ("evaluator", "intake", "notifier", "observer", "sealer", "transferrer")
RUNNERS = ("notifier", "observer", "transferrer")
#: Every call, but for the definitions and the one that hands a site on.
_CALL = re.compile(r"(?<!def )hit\((?!site\))")
_SITE = re.compile(r'hit\(\s*(f?)"([a-z_.{}]+)"')


def sites_in_the_code() -> set[str]:
    found: set[str] = set()
    for folder in PACKAGES:
        for file in (ROOT / folder).rglob("*.py"):
            for formatted, site in _SITE.findall(file.read_text()):
                if formatted:
                    agents = RUNNERS if file.stem == "command_runner" else AGENTS
                    found |= {re.sub(r"{.*}", agent, site) for agent in agents}
                else:
                    found.add(site)
    return found


def test_the_sites_of_the_code_are_those_that_are_declared() -> None:
    assert sites_in_the_code() == set(SITES)


def test_every_call_names_its_site_where_it_stands() -> None:
    """Otherwise the test above would not see it."""
    text = "".join(file.read_text() for folder in PACKAGES for file in (ROOT / folder).rglob("*.py"))
    assert len(_CALL.findall(text)) == len(_SITE.findall(text)) > 0


async def test_a_site_acts_at_its_hit_and_at_no_other() -> None:
    points = Failpoints("evaluator.decided:raise@2,shell.guard:drop@2+1")
    assert not await points.hit("evaluator.decided")
    with pytest.raises(FailpointError, match=r"evaluator\.decided"):
        await points.hit("evaluator.decided")
    assert not await points.hit("evaluator.decided")
    assert [await points.hit("shell.guard") for _ in range(4)] == [False, True, True, False]


async def test_a_site_that_is_not_armed_does_nothing() -> None:
    assert not await Failpoints().hit("evaluator.decided")


async def test_a_site_that_hangs_hangs_until_it_is_cancelled() -> None:
    hanging = asyncio.create_task(Failpoints("evaluator.decided:hang").hit("evaluator.decided"))
    done, _ = await asyncio.wait([hanging], timeout=0.05)
    assert not done
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging


async def test_a_site_that_delays_goes_on_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert not await Failpoints("evaluator.decided:delay").hit("evaluator.decided")
    assert waits == [1]


def test_a_site_that_kills_ends_the_process_at_once() -> None:
    program = (
        "import asyncio; from towline.failpoints import Failpoints; "
        "asyncio.run(Failpoints('evaluator.decided:kill').hit('evaluator.decided')); print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (-9, b"")


@pytest.mark.parametrize(
    "setting",
    [
        "nowhere:kill",
        "evaluator.decided",
        "evaluator.decided:",
        "evaluator.decided:stop",
        "evaluator.decided:kill@x",
        "evaluator.decided:kill@-1",
        "evaluator.decided:kill@1+y",
        "shell.guard:drop;evaluator.decided:kill",
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: str) -> None:
    with pytest.raises(SettingsError, match="write SITE:ACTION@HIT"):
        Failpoints(setting)
