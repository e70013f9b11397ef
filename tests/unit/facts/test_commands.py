"""The commands by which people and pipelines tell about images."""

import asyncio
import json
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from schemas.catalogue import decode
from schemas.envelope import Envelope
from schemas.events import PromotionRequested
from schemas.facts import (
    ApprovalGranted,
    ApprovalRevoked,
    OverrideRevoked,
    SbomSubmitted,
    ScanCompleted,
    VulnerabilityOverridden,
)
from schemas.references import Frozen
from streams.cli import app
from streams.cli import facts as commands
from streams.memory_log import MemoryLog
from streams.topics import EVENTS
from tests.support.builders import digest, policy, published, record_events
from tests.unit.facts.reports import FOLDER
from towline.registry import RegistryClient

MANIFEST, INDEX, NOW = digest("manifest"), digest("index"), digest("now")
REF = "local/dev/website:1.0-stable"


class _Shared:
    """The log of a test, which outlives each command."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def __aenter__(self) -> MemoryLog:
        return self._log

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> MemoryLog:
    made = MemoryLog(partitions=1)
    settings = tmp_path / "towline.yaml"
    settings.write_text("registries: {local: {url: 'http://127.0.0.1:1'}}")
    monkeypatch.setenv("TOWLINE_SETTINGS", str(settings))
    monkeypatch.setattr(commands, "KafkaLog", lambda _: _Shared(made))
    monkeypatch.setattr(commands, "actor", lambda: "ann")

    async def resolve(_: RegistryClient, __: str, ___: str, *, push: bool = False) -> str:
        return NOW

    monkeypatch.setattr(RegistryClient, "resolve", resolve)
    return made


def towline(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def told(log: MemoryLog) -> list[Envelope[Frozen]]:
    async def read() -> list[Envelope[Frozen]]:
        end = await log.high_watermark(EVENTS, 0)
        return [decode(item.value or b"") async for item in log.read(EVENTS, 0, 0, end)]

    return asyncio.run(read())


def fixture(name: str) -> str:
    return str(FOLDER / f"{name}.json")


def test_a_scan_is_submitted_and_what_comes_next_is_said(log: MemoryLog) -> None:
    result = towline("scan", "submit", REF, fixture("trivy"))
    assert result.exit_code == 0, result.output
    (event,) = told(log)
    assert isinstance(event.data, ScanCompleted)
    assert (event.data.digest, event.data.platform, event.data.actor) == (INDEX, "linux/arm64/v8", "ann")
    assert result.stdout.splitlines() == [
        f"scan.completed local/dev/website@{INDEX}",
        "  platform: linux/arm64/v8",
        "  scanner: trivy 0.68.1",
        "  vulnerabilities: 1 critical, 2 medium, 1 unknown",
        "  components: 3",
        f"recorded at towline.events/0@0; see what follows from it with `towline explain {REF}`",
    ]


def test_an_sbom_is_submitted_with_the_platform_that_it_is_about(log: MemoryLog) -> None:
    result = towline("scan", "submit", REF, fixture("spdx"), "--platform", "linux/amd64", "--json")
    assert result.exit_code == 0, result.output
    (event,) = told(log)
    assert isinstance(event.data, SbomSubmitted)
    assert json.loads(result.stdout) == {
        "id": event.id,
        "type": "sbom.submitted",
        "subject": f"local/dev/website@{MANIFEST}",
        "position": "towline.events/0@0",
        "platform": "linux/amd64",
        "format": "spdx 2.3",
        "components": 3,
    }


def test_what_is_refused_is_misuse_and_tells_nothing(log: MemoryLog, tmp_path: Any) -> None:
    wrong = tmp_path / "report.json"
    wrong.write_text('{"SchemaVersion": 9}')
    for arguments, reason in [
        (("scan", "submit", REF, str(wrong)), f"error: {wrong}: SchemaVersion: 9 is unknown"),
        (("scan", "submit", REF, str(tmp_path / "none")), "cannot read"),
        (("scan", "submit", REF, fixture("trivy"), "--digest", MANIFEST), f"about {INDEX}, and is submitted"),
        (("scan", "submit", "dev/website:1", fixture("trivy")), "registry 'dev' is not in the settings"),
        (("approve", REF, "--policy", "to-qa"), "no policy 'to-qa'"),
        (("approve", REF, "--policy", "to-qa", "--approver", "bob"), "--approver goes with --revoke"),
        (("approve", REF, "--policy", "to-qa", "--revoke", "--expires", "7d"), "leave out --expires"),
        (("override", REF, "CVE-1", "--reason", " "), "needs a reason"),
        (("override", REF, "CVE-1", "--reason", "x", "--whole-repository"), "is not a repository"),
        (("override", "dev/website", "CVE-1", "--reason", "x", "--whole-repository"), "registry 'dev' is not"),
        (("promote", REF, "nowhere/qa/website:1.0"), "registry 'nowhere' is not"),
        (("promote", f"local/dev/website@{MANIFEST}", REF), "is not a reference"),
    ]:
        result = towline(*arguments)
        assert result.exit_code == 2, arguments
        assert reason in result.stderr, result.stderr
    assert told(log) == []


def test_an_approval_is_given_and_taken_back(log: MemoryLog) -> None:
    in_force = published(policy("to-qa", "local/dev/website", "local/qa/website"))
    asyncio.run(record_events(log, in_force, partitions=1))
    given = towline("approve", REF, "--policy", "to-qa", "--expires", "7d", "--comment", "tested", "--json")
    back = towline("approve", f"local/dev/website@{MANIFEST}", "--policy", "to-qa", "--revoke", "--approver", "bob")
    assert (given.exit_code, back.exit_code) == (0, 0), given.output + back.output
    _, granted, revoked = (event.data for event in told(log))
    assert isinstance(granted, ApprovalGranted)
    assert (granted.digest, granted.policy, granted.actor, granted.comment) == (NOW, "to-qa", "ann", "tested")
    assert json.loads(given.stdout)["expires_at"] == granted.expires_at
    assert isinstance(revoked, ApprovalRevoked)
    assert (revoked.digest, revoked.approver, revoked.actor) == (MANIFEST, "bob", "ann")
    assert "`towline explain local/dev/website:TAG`" in back.stdout


def test_ones_own_approval_is_taken_back_when_nobody_is_named(log: MemoryLog) -> None:
    assert towline("approve", REF, "--policy", "gone", "--revoke").exit_code == 0
    (event,) = told(log)
    assert isinstance(event.data, ApprovalRevoked)
    assert (event.data.approver, event.data.actor) == ("ann", "ann")


def test_a_vulnerability_is_overridden_and_counts_again(log: MemoryLog) -> None:
    one = towline("override", REF, "CVE-1", "--reason", "unused", "--component", "xz", "--expires", "30d")
    repository = "local/dev/website"
    every = towline("override", repository, "CVE-1", "--reason", "unused", "--whole-repository")
    back = towline("override", repository, "CVE-1", "--reason", "used", "--whole-repository", "--revoke")
    assert [result.exit_code for result in (one, every, back)] == [0, 0, 0]
    first, second, third = (event.data for event in told(log))
    assert isinstance(first, VulnerabilityOverridden)
    assert (first.digest, first.component, first.reason) == (NOW, "xz", "unused")
    assert f"expires at: {first.expires_at}" in one.stdout
    assert isinstance(second, VulnerabilityOverridden)
    assert (second.digest, second.component, second.expires_at) == (None, None, None)
    assert isinstance(third, OverrideRevoked)
    assert (third.digest, third.reason) == (None, "used")


def test_an_image_is_promoted_by_hand_as_its_tag_is_now(log: MemoryLog) -> None:
    result = towline("promote", REF, "local/qa/website:hot-fix", "--comment", "hot fix")
    assert result.exit_code == 0, result.output
    (event,) = told(log)
    assert isinstance(event.data, PromotionRequested)
    assert (event.data.digest, event.data.actor, event.data.comment) == (NOW, "ann", "hot fix")
    assert str(event.data.target) == "local/qa/website:hot-fix"
    assert f"see where it goes with `towline explain {REF}`" in result.stdout
