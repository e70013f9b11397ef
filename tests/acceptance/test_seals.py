"""Sealing as people have it: a key, a worker, and what an auditor finds with the command line."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.policies import PolicySet
from streams.log import Append
from streams.topics import CHECKPOINTS, DECISIONS
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import policy
from tests.support.system import System, pushed, system
from tests.support.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

PUSHES = 12


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one(module_broker: BrokerUnderTest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    folder: Path = tmp_path_factory.mktemp("seals")
    audit = {
        "key": f"file:{folder / 'seal.pem'}",
        "public_keys": [str(folder / "seal.pem.pub")],
        "every_records": 5,
        "every_seconds": 0.5,
        "file": str(folder / "checkpoints.jsonl"),
    }
    async with system(
        module_broker.bootstrap, folder, registries={"here": {"url": "http://127.0.0.1:1"}}, audit=audit
    ) as built:
        code, told = await towline(built, "audit", "key", str(folder / "seal.pem"))
        assert code == 0, told
        yield built


async def towline(one: System, *arguments: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from streams.cli import main; main()",
        *arguments,
        env=one.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode() or err.decode()


async def verified(one: System, *options: str) -> tuple[int, Any]:
    code, told = await towline(one, "audit", "verify", "--json", *options)
    return code, json.loads(told)


async def test_decisions_are_sealed_verified_proven_and_tampering_is_found(one: System) -> None:
    await one.start("evaluate")
    await one.start("seal")
    await one.apply(PolicySet(policies=(policy("to-qa", "here/dev/app", "here/qa/app"),)))
    events = [pushed("here/dev/app", str(number), f"push {number}") for number in range(PUSHES)]
    await one.push(events)
    await one.decided(events)
    kept = str(one.folder / "checkpoints.jsonl")

    async def sealed() -> bool:
        _, told = await verified(one)
        return sum(seal["sealed"] for seal in told["details"]["partitions"]) >= PUSHES

    await eventually(sealed, seconds=60, what=f"all decisions sealed: {one.running[-1].said()}")
    code, told = await towline(one, "audit", "verify", "--against", kept)
    assert (code, told.splitlines()[-1]) == (0, "seals: intact"), told
    assert "not sealed yet: 0 records" in told

    decision = (await one.decisions())[0]
    code, proof = await towline(one, "audit", "prove", decision.id)
    assert code == 0, proof
    (one.folder / "proof.json").write_text(proof)
    code, told = await towline(one, "audit", "verify", "--proof", str(one.folder / "proof.json"))
    assert (code, told.splitlines()[-1]) == (0, "proof: holds"), told
    assert (await towline(one, "audit", "prove", "0" * 64))[0] == 1

    home = json.loads(proof)["record"]["partition"]
    places = [item.position for item in await one.records(CHECKPOINTS) if item.record.partition == home]
    code, proof = await towline(one, "audit", "prove", "--between", places[0], places[-1])
    assert (code, len(places) > 1) == (0, True), proof
    (one.folder / "proof.json").write_text(proof)
    code, told = await towline(one, "audit", "verify", "--proof", str(one.folder / "proof.json"))
    assert (code, told.splitlines()[-1]) == (0, "proof: holds"), told

    # Whoever may write to the topic of checkpoints can do no more than this.
    record = next(item.record for item in await one.records(CHECKPOINTS))
    forged = Append(CHECKPOINTS, record.key, (record.value or b"").replace(b'"size":', b'"size":1'), record.partition)
    await one.log.append(forged)
    code, told = await verified(one, "--against", kept)
    assert code == 1
    (finding,) = told["details"]["findings"]
    assert (finding["kind"], finding["topic"], finding["partition"]) == (
        "checkpoint-forged",
        CHECKPOINTS,
        record.partition,
    )
    # The sealer does not go on beside something that it does not know.
    await one.log.append(Append(DECISIONS, b"here/dev/app", b"{}", record.partition))
    assert await one.running[-1].ended() == 3
    assert "audit.quarantine" in one.running[-1].said()


async def test_without_a_key_the_worker_says_what_to_do(one: System) -> None:
    settings = one.settings_file.read_text()
    one.settings_file.write_text(settings.replace("key: file:", "key: null #"))
    try:
        code, told = await towline(one, "worker", "seal")
        assert code == 2
        assert "towline audit key FILE" in told
        process = await one.start("seal", name="without")
        assert await process.ended() == 2
        assert "towline audit key FILE" in process.said()
    finally:
        one.settings_file.write_text(settings)
