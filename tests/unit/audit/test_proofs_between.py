"""A proof between two checkpoints needs no log, and holds for nothing but the two that it was made of."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from streams.audit.prove import Sealed, find_checkpoint, prove_between
from streams.audit.verifier.checkpoints import read_keys
from streams.audit.verifier.proof import BetweenVerification, verify_proof
from streams.cli import app
from streams.topics import CHECKPOINTS, DECISIONS
from tests.support.november import FOLDER as NOVEMBER
from tests.support.tampering import FixedLog, seal, sealed_log
from tests.unit.audit.sealed import public_pem
from towline.errors import LogError, MisuseError

KEYS = read_keys([("example.pub", public_pem())])
#: A first tree that is full, some that are not, and one that is all of the second.
SIZES = [1, 3, 4, 6, 8, 13]


def log() -> FixedLog:
    return sealed_log({0: [4], 1: SIZES}, unsealed=2)


async def checkpoint(made: FixedLog, number: int, partition: int = 1) -> Sealed:
    found = await find_checkpoint(made, str(number), partition)
    assert found is not None
    return found


async def between(first: int = 1, second: int = 5) -> dict[str, Any]:
    made = log()
    return await prove_between(made, await checkpoint(made, first), await checkpoint(made, second))


@pytest.mark.parametrize("first", range(6))
@pytest.mark.parametrize("second", range(6))
async def test_every_checkpoint_is_shown_to_go_on_from_each_before_it(first: int, second: int) -> None:
    if first > second:
        with pytest.raises(MisuseError, match="name the older one first"):
            await between(first, second)
        return
    shown = verify_proof(orjson.dumps(await between(first, second)), KEYS)
    assert isinstance(shown, BetweenVerification)
    assert shown.problem is None
    assert (shown.first.number, shown.first.size, shown.first.partition) == (first, SIZES[first], 1)
    assert (shown.second.number, shown.second.size, shown.second.partition) == (second, SIZES[second], 1)


async def test_a_checkpoint_is_named_by_its_number_its_place_or_its_id() -> None:
    made = log()
    by_number = await checkpoint(made, 2)
    assert await find_checkpoint(made, f"{CHECKPOINTS}/1@2") == by_number
    assert await find_checkpoint(made, by_number.envelope.id) == by_number
    assert (by_number.data.partition, by_number.data.number) == (1, 2)
    assert await find_checkpoint(made, by_number.envelope.id, 0) is None
    assert await find_checkpoint(made, "2") is None, "a number says nothing without its partition"
    assert await find_checkpoint(made, "0", 7) is None


async def test_checkpoints_of_two_partitions_do_not_go_on_from_each_other() -> None:
    made = log()
    with pytest.raises(MisuseError, match="partitions 0 and 1"):
        await prove_between(made, await checkpoint(made, 0, 0), await checkpoint(made, 3))


@pytest.mark.parametrize(("place", "number"), [(0, 1), (2, 1), (3, 5), (12, 5)])
async def test_a_log_that_was_tampered_with_gives_no_proof(place: int, number: int) -> None:
    made = log()
    records = made.records[DECISIONS, 1]
    records[place] = records[place]._replace(value=b"rewritten")
    with pytest.raises(LogError, match=f"not what checkpoint {number} committed to: towline audit verify"):
        await prove_between(made, await checkpoint(made, 1), await checkpoint(made, 5))


async def test_a_log_that_was_written_anew_and_sealed_again_gives_none_from_what_was_sealed_before() -> None:
    made, first = log(), await checkpoint(log(), 1)
    records = made.records[DECISIONS, 1]
    records[2] = records[2]._replace(value=b"another history")
    seal(made, 1, SIZES)
    with pytest.raises(LogError, match="not what checkpoint 1 committed to"):
        await prove_between(made, first, await checkpoint(made, 5))


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to each text and number within JSON."""
    if isinstance(value, dict | list):
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(member, (*path, key))
    else:
        yield path


def holder(proof: Any, path: tuple[str | int, ...]) -> Any:
    for key in path[:-1]:
        proof = proof[key]
    return proof


def is_refused(proof: Any) -> bool:
    try:
        return verify_proof(orjson.dumps(proof), KEYS).problem is not None
    except MisuseError:
        return True


async def test_a_proof_with_any_member_changed_or_taken_out_does_not_hold() -> None:
    proven = orjson.dumps(await between())
    assert not is_refused(orjson.loads(proven))
    found = list(places(orjson.loads(proven)))
    assert len(found) > 40
    for path in found:
        changed, without = orjson.loads(proven), orjson.loads(proven)
        value = holder(changed, path)[path[-1]]
        other = value + 1 if isinstance(value, int) else f"{chr(ord(value[0]) ^ 1)}{value[1:]}"
        holder(changed, path)[path[-1]] = other
        assert is_refused(changed), path
        del holder(without, path)[path[-1]]
        assert is_refused(without), path


def swapped(proof: dict[str, Any]) -> None:
    proof["first"], proof["second"] = proof["second"], proof["first"]


def unsigned(proof: dict[str, Any]) -> None:
    proof["first"]["checkpoint"]["data"]["signature_base64"] = base64.b64encode(bytes(64)).decode()


async def exchanged(name: str, number: int, partition: int = 1) -> dict[str, Any]:
    """A proof with another checkpoint, which is genuine, in place of one of its own."""
    proven, made = await between(), log()
    other = await prove_between(made, *[await checkpoint(made, number, partition)] * 2)
    return {**proven, name: other[name]}


@pytest.mark.parametrize(("name", "number", "partition"), [("first", 0, 1), ("first", 2, 1), ("second", 4, 1)])
async def test_a_proof_does_not_hold_for_another_checkpoint(name: str, number: int, partition: int) -> None:
    problem = verify_proof(orjson.dumps(await exchanged(name, number, partition)), KEYS).problem
    assert "does not lead to both roots" in (problem or "")


async def test_the_same_tree_in_another_partition_is_another_tree() -> None:
    same = sealed_log({0: [3], 1: SIZES})
    assert (await checkpoint(same, 0, 0)).data.root == (await checkpoint(same, 1)).data.root
    elsewhere = await checkpoint(same, 0, 0)
    other = await prove_between(same, elsewhere, elsewhere)
    problem = verify_proof(orjson.dumps({**await between(), "first": other["first"]}), KEYS).problem
    assert problem == "its checkpoints are of two partitions, 0 and 1"


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "both checkpoints the other way round": swapped,
    "no signature": unsigned,
    "a longer path": lambda it: it["path"].append("0" * 64),
    "no path": lambda it: it.update(path=[]),
    "a path the other way round": lambda it: it["path"].reverse(),
    "a text of the other": lambda it: it["first"].update(checkpoint_text=it["second"]["checkpoint_text"]),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
async def test_a_proof_that_was_put_together_otherwise_does_not_hold(change: str) -> None:
    proven = await between()
    CHANGES[change](proven)
    assert verify_proof(orjson.dumps(proven), KEYS).problem is not None


async def test_a_checkpoint_goes_on_from_itself_without_a_path() -> None:
    proven = await between(3, 3)
    assert (proven["path"], is_refused(proven)) == ([], False)
    assert is_refused({**proven, "path": ["0" * 64]})


async def test_a_proof_over_a_change_of_keys_needs_both() -> None:
    made = sealed_log({0: [3, 6]}, keys=("example", "other"))
    proven = orjson.dumps(await prove_between(made, await checkpoint(made, 0, 0), await checkpoint(made, 1, 0)))
    other = read_keys([("other.pub", public_pem("other"))])
    assert verify_proof(proven, {**KEYS, **other}).problem is None
    for keys in (KEYS, other):
        assert "--key" in (verify_proof(proven, keys).problem or "")


def test_the_command_checks_a_proof_without_settings_and_without_a_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOWLINE_KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.chdir(tmp_path)
    proven = asyncio.run(between())
    Path("between.json").write_bytes(orjson.dumps(proven))
    Path("seal.pub").write_bytes(public_pem())
    command = ["audit", "verify", "--key", "seal.pub", "--proof", "between.json"]
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "proof: holds"), done.output
    assert "the 3 records of partition 1 that checkpoint 1 sealed" in done.stdout
    assert "are the first of the 13 that checkpoint 5 sealed" in done.stdout
    told = orjson.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert (told["proof"], told["details"]["partition"]) == ("holds", 1)
    assert [told["details"][name]["size"] for name in ("first", "second")] == [3, 13]
    swapped(proven)
    Path("between.json").write_bytes(orjson.dumps(proven))
    broken = CliRunner().invoke(app, command)
    assert (broken.exit_code, broken.stdout.splitlines()[-1]) == (1, "proof: BROKEN")


def test_a_number_without_its_partition_is_no_name() -> None:
    done = CliRunner().invoke(app, ["audit", "prove", "--between", "0", "1"])
    assert done.exit_code == 2
    assert "--partition N" in done.stderr


def test_a_slice_proves_too_and_says_which_checkpoint_it_does_not_have() -> None:
    command = ["audit", "prove", "--partition", "0", "--slice", str(NOVEMBER / "log.jsonl"), "--between"]
    done = CliRunner().invoke(app, [*command, "0", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert set(orjson.loads(done.stdout)) == {"first", "second", "path"}
    for names in (("0", "7"), ("7", "0")):
        unknown = CliRunner().invoke(app, [*command, *names])
        assert (unknown.exit_code, unknown.stdout.split(":")[0]) == (1, "partition 0 has no checkpoint 7")
        told = CliRunner().invoke(app, [*command, *names, "--json"])
        assert orjson.loads(told.stdout) == {"checkpoint": "7", "problem": "unknown"}


@pytest.mark.parametrize(
    "arguments",
    [[], ["a-decision", "--between", "a", "b"], ["a-decision", "--partition", "1"], ["--partition", "1"]],
    ids=["nothing", "both", "a decision and a partition", "a partition alone"],
)
def test_what_is_to_be_proven_is_one_thing(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["audit", "prove", *arguments])
    assert done.exit_code == 2
    assert "--between FIRST SECOND" in " ".join(done.stderr.split())
