"""``replay verify`` as people run it, on a broker: the same result wherever and however it runs (A01, A02, I5)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from streams.folding import fold
from streams.log import Append, LogRecord
from streams.replay.snapshots import snapshots_in
from streams.replay.verify import verify
from streams.topics import COMMANDS, DECISIONS, EVENTS, partition_for
from tests.support import guard
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import appends_of, policy, published, pushed, rule
from tests.support.stage import Stage
from tests.support.system import PARTITIONS, system
from towline.policy.step import MemoryState
from towline.registry import Registries

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

SOURCES = 9
EVENTS_OF_EACH = 40
POLICIES = [
    policy(f"p{number}", f"here/dev/app{number}", f"here/qa/app{number}", rule("ends-with", "-stable"))
    for number in range(SOURCES)
]


def history() -> list[Append]:
    """Events of some repositories, every third of which is denied."""
    events = [published(*POLICIES, reconcile="never")]
    for number in range(SOURCES * EVENTS_OF_EACH):
        tag = f"{number % 7}-{'nightly' if number % 3 == 0 else 'stable'}"
        events.append(pushed(f"here/dev/app{number % SOURCES}:{tag}", f"image {number}"))
    return [append for event in events for append in appends_of(event, PARTITIONS)]


def decided(appends: list[Append]) -> list[Append]:
    """Return everything that an evaluator writes, event by event, between the events."""
    states = [MemoryState() for _ in range(PARTITIONS)]
    found: list[Append] = []
    for append in appends:
        partition = append.partition if append.partition is not None else partition_for(append.key or b"", PARTITIONS)
        record = LogRecord(EVENTS, partition, 0, append.key, append.value, (), 0)
        folded = fold(states[partition], record, PARTITIONS)
        states[partition].apply(folded.changes)
        assert not folded.events
        found += [append, *folded.decisions, *folded.commands]
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="stage")
async def recorded(module_broker: BrokerUnderTest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A log with all that was decided on it, without workers."""
    folder = tmp_path_factory.mktemp("replay")
    async with (
        system(module_broker.bootstrap, folder, registries={"here": {"url": "http://127.0.0.1:1"}}) as one,
        Registries(one.settings.registries) as clients,
    ):
        await one.log.append_all(decided(history()))
        yield Stage(one, clients, module_broker)


async def replayed(stage: Stage, *arguments: str, code: int = 0, **environment: str) -> dict[str, Any]:
    found, out, err = await stage.towline(
        "replay", "verify", "--wait-seconds", "0", "--json", *arguments, **environment
    )
    assert found == code, out + err
    details: dict[str, Any] = json.loads(out)["details"]
    return details


WHERE = {
    "one process": (["--processes", "1"], {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8"}),
    "two processes": (["--processes", "2"], {"PYTHONHASHSEED": "4711", "TZ": "America/St_Johns", "LC_ALL": "C"}),
    "more processes than partitions": (["--processes", "64"], {"PYTHONUTF8": "0", "LANG": "de_DE.ISO-8859-1"}),
}


@pytest.mark.parametrize("where", WHERE)
async def test_wherever_it_runs_every_decision_is_identical(stage: Stage, where: str) -> None:
    arguments, environment = WHERE[where]
    details = await replayed(stage, *arguments, **environment)
    assert details["decisions"] == SOURCES * EVENTS_OF_EACH
    assert details["events"] == SOURCES * EVENTS_OF_EACH + PARTITIONS
    assert not any(details[kind] for kind in ("late", "duplicates", "undecided", "changed", "missing", "unexpected"))


async def test_it_needs_no_network_but_the_broker(stage: Stage) -> None:
    environment = {
        "PYTHONPATH": str(Path(guard.__file__).parent),
        "TOWLINE_TEST_ALLOWED_ADDRESS": stage.broker.bootstrap,
    }
    assert (await replayed(stage, "--processes", "2", **environment))["events"] > 0
    # The test of the test: with another address allowed, it cannot even reach the broker.
    code, _, err = await stage.towline(
        "replay", "verify", **{**environment, "TOWLINE_TEST_ALLOWED_ADDRESS": "127.0.0.1:1"}
    )
    assert code == 3, err


async def test_parts_of_it_add_up(stage: Stage) -> None:
    whole = await replayed(stage)
    by_repository = [
        (await replayed(stage, "--repository", f"here/dev/app{number}"))["decisions"] for number in range(SOURCES)
    ]
    assert by_repository == [EVENTS_OF_EACH] * SOURCES
    end = await stage.one.log.high_watermark(EVENTS, 0)
    before = await replayed(stage, "--to", "0/7")
    after = await replayed(stage, "--from", "0/7")
    assert before["events"] == 7
    assert before["events"] + after["events"] == end < whole["events"]


async def test_misuse_is_told(stage: Stage) -> None:
    for arguments in (["--from", "0/x"], ["--from", "0/1", "--to", "1/2"], ["--from", "99/1"], ["--repository", "x"]):
        code, _, err = await stage.towline("replay", "verify", *arguments)
        assert code == 2, err
        assert "Traceback" not in err


@pytest.mark.parametrize("topic", [DECISIONS, COMMANDS])
async def test_what_is_missing_is_told_and_written_again(stage: Stage, topic: str) -> None:
    """The events of one more image are in the log with all that they lead to, but for one record."""
    later = [pushed(f"here/dev/app1:{topic}-{number}-stable", f"{topic} {number}") for number in range(3)]
    before, late = history(), (await verify(stage.one.log)).late
    further = [append for event in later for append in appends_of(event, PARTITIONS)]
    own = decided([*before, *further])[len(decided(before)) :]
    lost = next(append for append in own if append.topic == topic)
    await stage.one.log.append_all([append for append in own if append is not lost])
    quick = ("--wait-seconds", "0", "--json")
    code, out, err = await stage.towline("audit", "completeness", *quick)
    assert code == 1, err
    (missing,) = json.loads(out)["missing"]
    assert missing["id"] == json.loads(lost.value)["id"]
    assert (await stage.towline("decisions", "re-emit", "--dry-run", *quick))[0] == 1
    code, _, err = await stage.towline("decisions", "re-emit", *quick)
    assert code == 2, "nobody can be asked here"
    assert "--yes" in err
    assert json.loads(await stage.done("decisions", "re-emit", "--yes", *quick))["written"] == 1
    assert json.loads(await stage.done("decisions", "re-emit", "--yes", *quick))["written"] == 0
    await stage.done("audit", "completeness", *quick)
    last = [item.record.value for item in await stage.one.records(topic)].count(lost.value)
    assert last == 1
    assert (await replayed(stage))["late"] == late + (topic == DECISIONS)


async def test_a_range_after_a_snapshot_is_the_same_and_the_snapshot_is_what_the_log_folds_to(
    stage: Stage, tmp_path: Path
) -> None:
    await stage.done("replay", "snapshot", "--directory", str(tmp_path))
    assert len(snapshots_in(tmp_path)) == PARTITIONS
    await stage.done("replay", "snapshot", "--verify", "--directory", str(tmp_path))
    end = await stage.one.log.high_watermark(EVENTS, 0)
    later = [pushed(f"here/dev/app{number}:later", f"later {number}") for number in range(SOURCES)]
    await stage.one.push(later)
    arguments = ("--from", f"0/{end}", "--processes", "1")
    with_it = await replayed(stage, *arguments, "--directory", str(tmp_path), code=1)
    assert with_it == await replayed(stage, *arguments, "--directory", str(tmp_path / "none"), code=1)
    assert with_it["undecided"] == with_it["events"] > 0
