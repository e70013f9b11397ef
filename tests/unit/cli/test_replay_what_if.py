"""``towline replay what-if``: what it takes, prints and writes."""

import asyncio
import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from streams.cli import app, replay_what_if
from streams.cli.what_if_page import page
from streams.replay.report import Report, WindowReport
from tests.support.builders import at, policy, published, pushed, rule
from tests.support.recorded import recorded_log, to_be_read
from towline.replay.differences import KINDS, Change, PolicyChanges, TagChange
from towline.replay.shadows import ShadowFinding, ShadowReport

DEV, QA = "local/dev/app", "local/qa/app"
STABLE = rule("ends-with", "-stable")
FILE = f"policies:\n  - {{name: to-qa, source: {DEV}, target: {QA}}}\n"
HOSTILE = "<script>alert(1)</script>\"'&\x1b[2J\u202e"


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    history = [
        published(policy("to-qa", DEV, QA, STABLE), policy("canary", DEV, "local/canary/app", mode="shadow")),
        *(pushed(f"{DEV}:{tag}", tag, time=at(10 * n)) for n, tag in enumerate(("1-stable", "2", "3", "4"), 1)),
    ]
    to_be_read(monkeypatch, tmp_path, replay_what_if, asyncio.run(recorded_log(history)))
    made = tmp_path / "policies.yaml"
    made.write_text(FILE)
    return made


def called(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replay", "what-if", *map(str, arguments)])


def test_changes_are_counted_and_listed_and_are_no_finding(file: Path) -> None:
    result = called(file)
    assert result.exit_code == 0, result.output
    assert "changed policies: canary, to-qa" in result.stdout
    assert re.search(r"POLICY +NEWLY PROMOTED\nto-qa +3\n", result.stdout)
    assert f"{DEV}:2" in result.stdout
    assert "newly promoted: 3" in result.stdout


def test_long_lists_are_cut_and_it_is_said_where_the_rest_is(file: Path) -> None:
    result = called(file, "--limit", 1)
    assert "and 2 more; --limit 0, --json or --html has all of them" in result.stdout
    assert f"{DEV}:3" not in result.stdout
    assert f"{DEV}:3" in called(file, "--limit", 0).stdout


def test_programs_get_every_kind_whether_or_not_there_is_any(file: Path) -> None:
    report = json.loads(called(file, "--json", "--from", at(20), "--to", at(31)).stdout)
    assert set(report) == {"window", "changed_policies", "repositories", "counts", "policies", "notes", "shadow"}
    assert report["counts"] == dict.fromkeys(KINDS, 0) | {"newly_promoted": 2}
    assert report["window"]["from_time"] == at(20)
    (changes,) = report["policies"]
    assert set(changes) == {"policy", *KINDS}
    assert [one["source"] for one in changes["newly_promoted"]] == [f"{DEV}:2", f"{DEV}:3"]
    assert set(changes["newly_promoted"][0]) == {"source", "digest", "target", "time", "event_id", "reason"}


def test_the_whole_evaluation_says_the_same(file: Path) -> None:
    quick, full = (json.loads(called(file, "--json", *more).stdout) for more in ((), ("--full",)))
    assert full["repositories"] is None
    assert {**full, "repositories": 0} == {**quick, "repositories": 0}


def test_windows_outside_of_the_log_are_told(file: Path) -> None:
    assert f"the window has no events: the log ends at {at(40)}" in called(file, "--from", "2030-01-01").stdout
    assert f"the log has nothing before {at(0)[:4]}" in called(file, "--to", f"{at(0)[:4]}-01-01").stdout
    assert f"the window begins before the log, which begins at {at(0)}" in called(file, "--from", "2001-01-01").stdout


def test_a_window_that_ends_before_it_begins_and_a_time_that_is_none_are_misuse(file: Path) -> None:
    result = called(file, "--from", at(20), "--to", at(10))
    assert (result.exit_code, "before it begins" in result.stderr) == (2, True)
    for text in ("yesterday", "2026-11-24T08:00:00", "2026-13-01"):
        result = called(file, "--from", text)
        assert result.exit_code == 2
        assert "write 2026-11-24, " in result.stderr


def test_a_file_that_may_not_be_applied_is_misuse_with_its_line(file: Path) -> None:
    file.write_text(FILE.replace(QA, DEV))
    result = called(file)
    assert result.exit_code == 2
    assert f"{file}:2: " in result.stderr
    file.write_text(FILE.replace("local/qa", "nowhere/qa"))
    assert called(file).exit_code == 2


def test_a_policy_in_shadow_is_compared_with_what_was_done_and_with_the_what_if_of_it(file: Path) -> None:
    file.write_text(FILE + "  - {name: canary, source: local/dev/app, target: local/canary/app}\n")
    result = called(file, "--against-shadow", "canary", "--json")
    shadow = json.loads(result.stdout)["shadow"]
    assert (shadow["policy"], shadow["judged"], shadow["agreed"]) == ("canary", 4, 0)
    assert [one["source"] for one in shadow["only_shadow"]] == [f"{DEV}:{tag}" for tag in ("1-stable", "2", "3", "4")]
    assert shadow["what_if_differs"] == []
    file.write_text(FILE + "  - {name: canary, source: local/dev/app, target: local/canary/app, tag: v-%n}\n")
    result = called(file, "--against-shadow", "canary")
    assert "other than the what-if says: 4" in result.stdout
    assert re.search(r"promote local/canary/app:2 +promote local/canary/app:v-2", result.stdout)


def test_a_shadow_that_is_not_in_the_file_or_decided_nothing_is_misuse(file: Path) -> None:
    assert called(file, "--against-shadow", "canary").exit_code == 2
    result = called(file, "--against-shadow", "to-qa")
    assert result.exit_code == 2
    assert "was its mode shadow then?" in result.stderr


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile_report() -> Report:
    change = Change(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    changes = PolicyChanges(HOSTILE, changed_tags=[TagChange(HOSTILE, HOSTILE, (HOSTILE,), (HOSTILE,))])
    for kind in KINDS:
        if kind != "changed_tags":
            setattr(changes, kind, [change])
    found = [ShadowFinding(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)]
    window = WindowReport(HOSTILE, HOSTILE, 1, HOSTILE, HOSTILE, (1,))
    shadow = ShadowReport(HOSTILE, 1, 1, found, found, found)
    return Report(window, [HOSTILE], 1, dict.fromkeys(KINDS, 1), [changes], [HOSTILE], shadow)


def test_no_name_in_the_page_is_markup_and_nothing_in_it_runs_or_is_fetched() -> None:
    text = page(hostile_report(), HOSTILE)
    read = _Page(text)
    assert "script" not in read.tags
    assert not read.tags & {"a", "img", "link", "iframe", "object", "form", "base", "svg"}
    assert not {name for name in read.attributes if name.startswith("on")} | (
        read.attributes & {"href", "src", "style"}
    )
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert read.text.count("<script>alert(1)</script>") > 40
    assert "default-src 'none'" in text
    assert "http-equiv" in read.attributes


def test_the_style_of_the_page_is_the_one_that_its_own_policy_allows() -> None:
    text = page(hostile_report(), "x")
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in text


def test_the_page_has_all_that_changed(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    result = called(file, "--html", target, "--limit", 1)
    assert f"written: {target}" in result.stderr
    read = _Page(target.read_text(encoding="utf-8"))
    assert all(f"{DEV}:{tag}" in read.text for tag in ("2", "3", "4"))
    assert called(file, "--html", tmp_path / "no" / "folder").exit_code == 2
