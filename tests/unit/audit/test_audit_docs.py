"""``docs/audit.md`` shows the text that is signed, every kind of finding, and commands that work."""

import re
import shutil
import subprocess
from pathlib import Path

import orjson
import pytest
import yaml

from schemas.checkpoints import Checkpoint
from schemas.examples import EXAMPLES
from streams.audit.verifier.findings import ADVICE
from tests.support.tampering import kept_lines
from tests.unit.audit.sealed import private_pem, public_pem
from tests.unit.audit.test_proofs import proof
from tests.unit.audit.test_proofs_between import between, log
from towline.audit.checkpoints import SealingKey, key_id, load_public_keys, text_of
from towline.settings import load_settings

TEXT = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


def run(command: str, folder: Path) -> str:
    done = subprocess.run(["sh", "-ec", command], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_shows_the_text_that_is_signed() -> None:
    example = EXAMPLES["checkpoint.sealed"]
    assert isinstance(example.data, Checkpoint)
    text = text_of(example.data.model_dump(), example.time).decode()
    assert f"```\n{text}```" in TEXT


def test_it_tells_every_kind_of_finding() -> None:
    table = TEXT[TEXT.index("| kind |") :]
    assert set(ADVICE) <= set(re.findall(r"`([a-z-]+)`", table[: table.index("\n\n")]))


def test_its_settings_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    monkeypatch.setenv("TOWLINE_SETTINGS", str(tmp_path / "towline.yaml"))
    (tmp_path / "towline.yaml").write_text(block, encoding="utf-8")
    assert load_settings().audit.model_dump(mode="json", exclude_defaults=True) == {
        **yaml.safe_load(block)["audit"],
    }


@pytest.mark.skipif(not all(map(shutil.which, ("openssl", "jq", "base64"))), reason="needs openssl, jq and base64")
async def test_openssl_verifies_the_signature_of_a_proof(tmp_path: Path) -> None:
    (commands,) = [block for block in SHELL if "pkeyutl" in block]
    proven = await proof()
    (tmp_path / "proof.json").write_bytes(orjson.dumps(proven))
    (tmp_path / "seal.pem.pub").write_bytes(public_pem())
    assert "Verified Successfully" in run(commands, tmp_path)
    proven["checkpoint_text"] = proven["checkpoint_text"].replace("number 1", "number 2")
    (tmp_path / "proof.json").write_bytes(orjson.dumps(proven))
    with pytest.raises(AssertionError, match="Verification Failure"):
        run(commands, tmp_path)


@pytest.mark.skipif(not all(map(shutil.which, ("jq", "grep"))), reason="needs jq and grep")
async def test_the_first_checkpoint_of_a_proof_is_found_among_those_that_were_kept(tmp_path: Path) -> None:
    (command,) = [block for block in SHELL if ".first.checkpoint" in block]
    (tmp_path / "between.json").write_bytes(orjson.dumps(await between(), option=orjson.OPT_INDENT_2))
    (tmp_path / "checkpoints.jsonl").write_bytes(kept_lines(log(), 1))
    assert run(command, tmp_path) == "it is the one that was kept\n"
    (tmp_path / "checkpoints.jsonl").write_bytes(kept_lines(log(), 0))
    with pytest.raises(AssertionError):
        run(command, tmp_path)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_makes_the_same_kind_of_key(tmp_path: Path) -> None:
    for command in re.findall(r"`(openssl [^`]+)`", TEXT):
        run(command.replace("-pubout", "-pubout -out seal.pem.pub"), tmp_path)
    key = SealingKey((tmp_path / "seal.pem").read_bytes())
    assert list(load_public_keys([("seal.pem.pub", (tmp_path / "seal.pem.pub").read_bytes())])) == [key.id]
    assert key_id(SealingKey(private_pem()).public) in TEXT
