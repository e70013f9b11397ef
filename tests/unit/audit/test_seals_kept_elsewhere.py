"""S25, B10: the topics alone cannot tell that their ends are gone; a checkpoint that was kept elsewhere can."""

import orjson
import pytest

from schemas.canonical import canonical_bytes
from streams.audit.verifier.verify import read_kept
from tests.support.tampering import FixedLog, kept_lines, seal, sealed_log
from tests.unit.audit.test_seals_verified import (
    CUTS,
    KEYS,
    change,
    drop,
    found,
    log,
    on_checkpoints,
    places,
    verified,
)
from towline.errors import MisuseError


async def test_a_log_that_was_put_back_is_found_with_what_was_kept_elsewhere() -> None:
    kept = kept_lines(log())
    tampered = log()
    drop(22, 45)(tampered)
    on_checkpoints(lambda it: it.__delitem__(slice(2, 4)))(tampered)
    assert (await verified(tampered)).is_intact, "nothing in the topics tells of it"
    assert places(await found(tampered, kept)) == [("log-rolled-back", None, 2, 2), ("tail-missing", None, 22, 18)]
    only_the_last = kept.splitlines()[-1]
    assert [(one.kind, one.index) for one in await found(tampered, only_the_last)] == [
        ("checkpoint-missing", 2),
        ("log-rolled-back", 3),
        ("tail-missing", 22),
    ]


async def test_a_log_that_went_on_after_it_was_put_back_contradicts_what_was_kept() -> None:
    kept = kept_lines(log())
    tampered = log()
    change(22, value=b"another history")(tampered)
    seal(tampered, 0, [10, 20, 30, 40, 45])
    assert (await verified(tampered)).is_intact, "the sealer itself signed it"
    assert [(one.kind, one.topic, one.offset) for one in await found(tampered, kept)] == [
        ("checkpoints-contradict", "kept.jsonl", 3)
    ]


async def test_an_empty_log_is_found_with_one_kept_checkpoint() -> None:
    empty = FixedLog(1)
    findings = await found(empty, kept_lines(log()).splitlines()[0])
    assert places(findings) == [("log-rolled-back", None, 0, 1), ("tail-missing", None, 0, 10)]


async def test_a_partition_that_is_gone_is_found_with_what_was_kept() -> None:
    kept = kept_lines(log(), 1)
    assert places(await found(sealed_log({0: CUTS}), kept)) == [("partition-missing", 1, 0, 1)]


async def test_a_kept_checkpoint_that_is_not_genuine_is_a_finding_and_a_torn_line_is_not() -> None:
    lines = kept_lines(log()).splitlines()
    assert (await verified(log(), b"\n".join([lines[0], lines[1][:40], lines[2], b""]))).torn_lines == 1
    tampered = orjson.loads(lines[3])
    tampered["data"]["signature_base64"] = orjson.loads(lines[2])["data"]["signature_base64"]
    (finding,) = await found(log(), canonical_bytes(tampered))
    assert (finding.kind, finding.topic, finding.offset) == ("checkpoint-forged", "kept.jsonl", 1)
    with pytest.raises(MisuseError, match="has no checkpoint"):
        read_kept("kept.jsonl", b"nothing\n", KEYS)
