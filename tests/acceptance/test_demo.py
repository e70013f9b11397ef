"""``towline demo``: ends by itself, without Docker and without Kafka."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from towline.settings import child_environment

TOWLINE = str(Path(sys.executable).parent / "towline")
SECONDS = 90


def run_demo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    # A broker that the environment names must not be touched by a demo.
    environment = {**child_environment(), "TOWLINE_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    return subprocess.run(
        [TOWLINE, "demo", *arguments], capture_output=True, text=True, timeout=SECONDS, env=environment, check=False
    )


@pytest.fixture(scope="module")
def summary() -> Any:
    done = run_demo("--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_demo_holds_one_image_promotes_and_mirrors_it_and_denies_the_other(summary: Any) -> None:
    assert set(summary) == {"broker", "promoted", "mirrored", "held", "denied", "decisions", "replay"}
    (promoted,), (held,), (denied,) = summary["promoted"], summary["held"], summary["denied"]
    mirrored, pulled = summary["mirrored"]
    assert [rule["result"] for rule in held["rules"]] == ["holds", "waits"]
    assert promoted["source_digest"] == promoted["target_digest"] == mirrored["target_digest"]
    assert promoted["target"] == "first/qa/website:1.0-stable"
    assert mirrored["target"] == "second/qa/website:1.0-stable"
    assert denied["rules"][0]["result"] == "fails"
    assert (pulled["source"], pulled["target"]) == ("second/vendor/tool:3.1", "first/vendor/tool:3.1")
    assert pulled["source_digest"] == pulled["target_digest"]
    assert "embedded" in summary["broker"]
    assert summary["decisions"] >= 3
    assert summary["replay"] == "identical"


def test_the_demo_tells_a_person_what_happened() -> None:
    done = run_demo()
    assert done.returncode == 0, done.stderr
    for line in ("audit trail", "replay: identical", "  tag ends-with -stable fails for 1.1-nightly"):
        assert line in done.stdout.splitlines()
    for kind in ("image.pushed", "decision.made", "image.copy", "transfer.completed"):
        assert kind in done.stdout
    assert "keeps everything in memory" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("next: your own registry and policy")
