"""``policy check --offline``, ``policy try`` and ``policy import``: files in, exit codes and lines out."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.catalogue import encode
from streams.cli import app
from tests.support.builders import digest, pushed

POLICIES = """\
policies:
  - name: to-qa
    source: local/dev/app
    target: local/qa/app
    rules: [{field: tag, operator: ends-with, values: [-stable]}]
  - {name: away, source: local/qa/app, target: remote/app}
  - {name: all, source: local/qa/app, target: remote/all, mode: shadow}
"""


def push(tag: str = "1-stable", **more: Any) -> dict[str, Any]:
    return {
        "type": "image.pushed",
        "data": {"repository": "local/dev/app", "tag": tag, "digest": digest("one")},
        **more,
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOWLINE_SETTINGS", raising=False)
    (tmp_path / "policies.yaml").write_text(POLICIES)
    return tmp_path


def towline(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def tried(folder: Path, *events: dict[str, Any] | str, options: tuple[str, ...] = ()) -> tuple[int, str]:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    (folder / "events.jsonl").write_text("\n".join(lines))
    return towline("policy", "try", "policies.yaml", "events.jsonl", *options)


def decisions(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_a_trial_needs_no_settings_and_prints_a_row_for_each_decision(folder: Path) -> None:
    code, out = tried(folder, push(), "", "# a comment", push("nightly"))
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["#", "LINE", "SOURCE", "POLICY", "VERDICT", "TARGET", "REASON"]
    assert rows[1][:6] == ["1", "1", "local/dev/app:1-stable", "to-qa", "promote", "local/qa/app:1-stable"]
    assert rows[2][:5] == ["2", "4", "local/dev/app:nightly", "to-qa", "deny"]


def test_following_judges_a_chain_to_its_end_and_shadow_leads_nowhere(folder: Path) -> None:
    _, out = tried(folder, push(), options=("--json",))
    assert [item["policy"] for item in decisions(out)] == ["to-qa"]
    _, out = tried(folder, push(), options=("--json", "--follow"))
    assert [(item["policy"], item["source"], item["hops"]) for item in decisions(out)] == [
        ("to-qa", "local/dev/app:1-stable", 1),
        ("all", "local/qa/app:1-stable", 2),
        ("away", "local/qa/app:1-stable", 2),
        (None, "remote/app:1-stable", 2),
    ]


def test_a_trial_is_the_same_each_time_and_equal_short_events_are_two(folder: Path) -> None:
    first = tried(folder, push(), push(), options=("--json",))
    assert first == tried(folder, push(), push(), options=("--json",))
    assert [item["verdict"] for item in decisions(first[1])] == ["promote", "ignore"]


def test_whole_envelopes_are_taken_as_they_are_and_a_redelivery_decides_nothing(folder: Path) -> None:
    line = encode(pushed("local/dev/app:1-stable", "one")).decode()
    code, out = tried(folder, line, line, options=("--json",))
    assert code == 0
    assert [item["verdict"] for item in decisions(out)] == ["promote"]


def test_an_event_without_a_time_has_that_of_the_one_before_and_a_tick_its_own(folder: Path) -> None:
    (folder / "policies.yaml").write_text(
        "policies: [{name: p, source: local/dev/app, target: local/qa/app, tag: '%Y-%j-%n',"
        " rules: [{field: soak, operator: '>=', values: [1h]}]}]"
    )
    tick = {"type": "clock.ticked", "data": {"now": "2026-11-24T09:00:00.000000Z"}}
    _, out = tried(folder, push("a"), push("b", time="2026-11-24T10:00:00+02:00"), push("c"), tick, options=("--json",))
    assert [(item["verdict"], item["target"]) for item in decisions(out)] == [
        ("hold", "local/qa/app:1970-001-a"),
        ("promote", "local/qa/app:2026-328-b"),
        ("promote", "local/qa/app:2026-328-c"),
        ("promote", "local/qa/app:2026-328-a"),
    ]


def test_a_trial_shows_what_is_removed_and_what_follows_from_it(folder: Path) -> None:
    (folder / "policies.yaml").write_text(
        "policies: [{name: one, source: local/dev/app, target: local/qa/app, deletions: 100%},"
        " {name: two, source: local/qa/app, target: remote/app, deletions: 100%}]"
    )

    def polled(repository: str) -> dict[str, Any]:
        data = {"command_id": "a poll", "source": repository, "repository": repository, "tags": 0}
        return {"type": "poll.completed", "data": data}

    gone = {"type": "image.deleted", "data": {"repository": "local/dev/app", "tag": "1"}}
    events = [push("1"), gone, polled("local/dev/app"), polled("local/qa/app")]
    _, out = tried(folder, *events, options=("--json", "--follow"))
    removed = [(item["policy"], item["target"]) for item in decisions(out) if item["verdict"] == "remove"]
    assert removed == [("one", "local/qa/app:1"), ("two", "remote/app:1")]
    _, out = tried(folder, *events, options=("--json",))
    assert [item["policy"] for item in decisions(out) if item["verdict"] == "remove"] == ["one"]


def expecting(folder: Path, *expected: dict[str, Any], options: tuple[str, ...] = ()) -> tuple[int, str]:
    (folder / "expected.jsonl").write_text("# what should be\n" + "\n".join(map(json.dumps, expected)))
    return tried(folder, push(), push("nightly"), options=("--expect", "expected.jsonl", *options))


def test_decisions_that_are_as_expected_exit_with_0(folder: Path) -> None:
    code, out = expecting(folder, {"verdict": "promote", "target": "local/qa/app:1-stable"}, {"verdict": "deny"})
    assert (code, out) == (0, "2 decisions, as expected\n")


def test_each_difference_is_told_with_its_place_and_member(folder: Path) -> None:
    code, out = expecting(folder, {"verdict": "promote", "policy": "other"}, {"verdict": "hold"}, {"verdict": "deny"})
    assert code == 1
    assert out.splitlines() == [
        "decision 1: policy: expected 'other', got 'to-qa'",
        "decision 2: verdict: expected 'hold', got 'deny'",
        "decision 3: missing, expected {'verdict': 'deny'}",
    ]
    code, out = expecting(folder, {"verdict": "promote"}, options=("--json",))
    assert code == 1
    (difference,) = json.loads(out)["differences"]
    assert (difference["place"], difference["member"], difference["expected"]) == (2, None, None)
    assert difference["got"]["verdict"] == "deny"


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ("{", "events.jsonl:2: not JSON"),
        ("[]", "events.jsonl:2: a line is a JSON object"),
        ({"type": "image.pulled", "data": {}}, "events.jsonl:2: type: 'image.pulled' is no event"),
        ({"type": ["image.pushed"], "data": {}}, "events.jsonl:2: type: ['image.pushed'] is no event"),
        ({"type": "image.pushed"}, "events.jsonl:2: data: write an object"),
        ({"type": "image.pushed", "data": {"repository": "x"}}, "events.jsonl:2: data.repository: "),
        (push(time="noon"), "events.jsonl:2: time: "),
        (push(time="0001-01-01T00:00:00+14:00"), "events.jsonl:2: time: '0001-01-01T00:00:00+14:00' is in UTC outside"),
        (push(id="x"), "events.jsonl:2: id: no such member"),
        (push(specversion="1.0"), "events.jsonl:2: id: "),
    ],
)
def test_a_line_that_is_no_event_is_refused_with_its_place(
    folder: Path, event: dict[str, Any] | str, problem: str
) -> None:
    code, out = tried(folder, push(), event)
    assert code == 2
    assert f"error: {problem}" in out


def test_an_expectation_of_a_member_that_no_decision_has_is_refused(folder: Path) -> None:
    code, out = expecting(folder, {"verdct": "promote"})
    assert code == 2
    assert "expected.jsonl:2: no decision has a member 'verdct'" in out


def test_a_check_offline_looks_at_the_file_and_the_names_of_the_settings_only(folder: Path) -> None:
    code, out = towline("policy", "check", "--offline", "policies.yaml")
    assert code == 1
    assert "policies.yaml:3: policies.0.source: there is no registry 'local' in the settings (known: none)" in out
    (folder / "towline.yaml").write_text(
        "registries: {local: {url: 'http://127.0.0.1:1'}, remote: {url: 'http://127.0.0.1:1'}}"
    )
    code, out = towline("policy", "check", "--offline", "policies.yaml", "--json")
    assert code == 0
    assert json.loads(out)["policies"] == 3


def test_a_check_asks_the_registries_and_says_which_cannot_be_used(folder: Path) -> None:
    (folder / "towline.yaml").write_text(
        "registries: {local: {url: 'http://127.0.0.1:1'}, remote: {url: 'http://127.0.0.1:1'}}"
    )
    code, out = towline("policy", "check", "policies.yaml")
    assert code == 3
    assert "policies.yaml: registry local cannot be used: " in out
    assert "policies.yaml: local/dev/app cannot be read: registry not usable" in out


def test_files_that_are_not_there_or_not_utf_8_are_misuse(folder: Path) -> None:
    assert towline("policy", "try", "none.yaml", "events.jsonl")[0] == 2
    (folder / "policies.yaml").write_bytes(b"policies: [\xff]")
    code, out = towline("policy", "check", "policies.yaml")
    assert code == 2
    assert "policies.yaml: not UTF-8, at byte 11" in out


def test_an_import_prints_a_policy_file_and_its_notes_beside_it(folder: Path) -> None:
    fixtures = Path(__file__).parents[2] / "fixtures" / "msr"
    result = CliRunner().invoke(app, ["policy", "import", str(fixtures / "promotion.json"), "--registry", "dtr"])
    assert result.exit_code == 0
    (folder / "policies.yaml").write_text(result.stdout)
    assert "source: dtr/dev/website" in result.stdout
    assert "note: " in result.stderr
    code, _ = tried(folder, push())
    assert code == 0
    assert towline("policy", "import", str(fixtures / "unusable.json"))[0] == 1
    assert towline("policy", "import", str(fixtures / "poll.json"), "--registry", "NO")[0] == 2
