"""A proof of one decision needs no log, and holds for nothing but the record that it was made of."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from schemas.catalogue import encode
from schemas.examples import EXAMPLES
from streams.audit.prove import find_decision, prove
from streams.audit.verifier.checkpoints import read_keys
from streams.audit.verifier.proof import ProofVerification, verify_proof
from streams.cli import app
from streams.topics import DECISIONS
from tests.support.tampering import FixedLog, seal, sealed_log
from tests.unit.audit.sealed import public_pem
from towline.errors import LogError, MisuseError

KEYS = read_keys([("example.pub", public_pem())])
DECISION = EXAMPLES["decision.made"]


def log(place: int) -> FixedLog:
    """A log with a decision in partition 1, at this place of eight that are sealed and two that are not."""
    made = sealed_log({0: [4], 1: [3, 8]}, unsealed=2)
    records = made.records[DECISIONS, 1]
    records[place] = records[place]._replace(value=encode(DECISION))
    seal(made, 1, [3, 8])
    return made


async def proof(place: int = 5) -> dict[str, Any]:
    made = log(place)
    found = await find_decision(made, DECISION.id)
    assert found is not None
    proven = await prove(made, found)
    assert proven is not None
    return proven


@pytest.mark.parametrize("place", range(8))
async def test_a_sealed_decision_has_a_proof_that_holds(place: int) -> None:
    shown = verify_proof(orjson.dumps(await proof(place)), KEYS)
    assert isinstance(shown, ProofVerification)
    assert (shown.problem, shown.partition, shown.index) == (None, 1, place)
    assert shown.value == encode(DECISION)
    assert shown.checkpoint.size == (3 if place < 3 else 8)


async def test_a_decision_is_found_by_its_place_as_the_trail_writes_it() -> None:
    made = log(5)
    by_id, by_place = await find_decision(made, DECISION.id), await find_decision(made, f"{DECISIONS}/1@5")
    assert by_id is not None
    assert by_id == by_place
    assert await find_decision(made, f"{DECISIONS}/1@99") is None


async def test_a_decision_that_is_not_sealed_yet_or_not_there_has_none() -> None:
    found = await find_decision(log(9), DECISION.id)
    assert found is not None
    assert found.index == 9
    assert await prove(log(9), found) is None
    assert await find_decision(log(9), "0" * 64) is None


async def test_a_log_that_was_tampered_with_gives_no_proof() -> None:
    made = log(5)
    records = made.records[DECISIONS, 1]
    records[6] = records[6]._replace(value=b"rewritten")
    found = await find_decision(made, DECISION.id)
    assert found is not None
    with pytest.raises(LogError, match="audit verify"):
        await prove(made, found)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "value": lambda it: it["record"].update(value_base64=base64.b64encode(b"another").decode()),
    "key": lambda it: it["record"].update(key_base64=None),
    "time": lambda it: it["record"].update(timestamp_ms=1),
    "headers": lambda it: it["record"].update(headers=[["a", ""]]),
    "index": lambda it: it.update(index=4),
    "an index beyond": lambda it: it.update(index=8),
    "an index before": lambda it: it.update(index=-1),
    "leaf": lambda it: it.update(leaf="0" * 64),
    "text": lambda it: it.update(checkpoint_text="towline.decisions/1\n"),
    "a shorter path": lambda it: it["path"].pop(),
    "a longer path": lambda it: it["path"].append("0" * 64),
    "no path": lambda it: it.update(path=[]),
    "another path": lambda it: it["path"].__setitem__(0, "0" * 64),
    "signature": lambda it: it["checkpoint"]["data"].update(signature_base64=base64.b64encode(bytes(64)).decode()),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
async def test_a_proof_with_any_part_changed_does_not_hold(change: str) -> None:
    proven = await proof()
    CHANGES[change](proven)
    assert verify_proof(orjson.dumps(proven), KEYS).problem is not None


async def test_a_proof_by_another_key_says_which() -> None:
    other = read_keys([("other.pub", public_pem("other"))])
    assert "--key" in (verify_proof(orjson.dumps(await proof()), other).problem or "")


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.pop("record"),
        lambda it: it.update(index="5"),
        lambda it: it.update(index=5.0),
        lambda it: it.update(path=["x"]),
        lambda it: it["checkpoint"]["data"].update(root="0" * 64),
        lambda it: it.update(checkpoint=[]),
    ],
)
async def test_what_is_no_proof_is_refused(change: Callable[[dict[str, Any]], Any]) -> None:
    proven = await proof()
    change(proven)
    with pytest.raises(MisuseError):
        verify_proof(orjson.dumps(proven), KEYS)


def test_the_command_checks_a_proof_without_settings_and_without_a_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOWLINE_KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.chdir(tmp_path)
    proven = asyncio.run(proof())
    Path("proof.json").write_bytes(orjson.dumps(proven))
    Path("seal.pub").write_bytes(public_pem())
    command = ["audit", "verify", "--key", "seal.pub", "--proof", "proof.json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "record 5 of partition 1 was sealed by checkpoint 1 over 8 records" in done.output
    assert orjson.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)["proof"] == "holds"
    proven["index"] = 6
    Path("proof.json").write_bytes(orjson.dumps(proven))
    broken = CliRunner().invoke(app, command)
    assert (broken.exit_code, broken.stdout.splitlines()[-1]) == (1, "proof: BROKEN")
    assert CliRunner().invoke(app, ["audit", "verify", "--proof", "proof.json"]).exit_code == 2
