"""Policies of Docker Trusted Registry become policies that pass the check and decide alike; nothing is dropped."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.policies import Policy
from streams.trial import judge, read_events
from tests.support.builders import digest
from towline.errors import MisuseError
from towline.policy.document import read_policies
from towline.policy.dtr.reading import read_exports
from towline.policy.dtr.writing import Import, import_policies
from towline.settings import RegistrySettings

FIXTURES = Path(__file__).parents[2] / "fixtures" / "msr"


def imported(value: Any, own: str = "local") -> Import:
    text = value if isinstance(value, str) else json.dumps(value)
    return import_policies(read_exports(text, "export.json"), own)


def fixture(name: str) -> Import:
    return import_policies(read_exports((FIXTURES / name).read_text(), name), "local")


def policies(found: Import) -> tuple[Policy, ...]:
    return read_policies(found.text, None).policies


def promotion(**changes: Any) -> dict[str, Any]:
    base = {"enabled": True, "sourceRepository": "dev/x", "targetRepository": "qa/x", "tagTemplate": "%n", "rules": []}
    return {name: value for name, value in (base | changes).items() if value is not ...}


def mirror(**changes: Any) -> dict[str, Any]:
    base = {
        "enabled": True,
        "localRepository": "dev/x",
        "remoteRepository": "far/x",
        "remoteHost": "https://far.example",
    }
    return base | changes


def ruled(operator: str, *values: Any, field: str = "tag") -> dict[str, Any]:
    return promotion(rules=[{"field": field, "operator": operator, "values": list(values)}])


def test_promotions_go_through_import_and_check_and_decide_as_they_did() -> None:
    found = fixture("promotion.json")
    assert found.problems == ()
    chosen = read_policies(found.text, {"local"})
    assert [policy.mode for policy in chosen.policies] == ["enforce", "disabled"]
    scan = {"repository": "local/dev/website", "digest": digest("one"), "scanner": "trivy", "vulnerabilities": []}
    media_type = "application/vnd.oci.image.manifest.v1+json"
    push = {"repository": "local/dev/website", "digest": digest("one"), "media_type": media_type}
    lines = [
        {"type": "image.pushed", "data": push | {"tag": "1.0-stable"}, "time": "2026-11-24T08:00:00Z"},
        {"type": "image.pushed", "data": push | {"tag": "1.0"}},
        {"type": "scan.completed", "data": scan},
    ]
    made = judge(chosen, read_events("\n".join(map(json.dumps, lines)), "events"), follow=True)
    assert [(str(item.decision.target), item.decision.verdict) for item in made] == [
        ("local/qa/website:1.0-stable-20261124", "hold"),
        ("local/qa/website:1.0-20261124", "deny"),
        ("local/qa/website:1.0-stable-20261124", "promote"),
        ("local/qa/website:1.0-20261124", "deny"),
        ("None", "ignore"),
    ]


def test_exports_of_all_kinds_one_after_the_other_are_read() -> None:
    found = fixture("loop.json")
    assert found.problems == ()
    api, pushed, polled = policies(found)
    assert [(rule.field, rule.operator, rule.values) for rule in api.rules] == [
        ("tag", "matches", (r"^v[0-9]+\.",)),
        ("component.name", "not-one-of", ("openssl", "xz-utils")),
        ("license.name", "one-of", ("MIT", "Apache-2.0")),
        ("vulnerability_all", "<", ("10",)),
        ("updated_at", "after", ("2024-01-31T10:00:00Z",)),
        ("updated_at_duration", "before", ("1h30m",)),
    ]
    assert (str(pushed.source), str(pushed.target)) == ("local/qa/api", "reg2-example-5443/mirror/api")
    assert (str(polled.source), str(polled.target)) == ("docker-hub/library/nginx", "local/mirror/nginx")
    assert (pushed.poll, polled.poll) == (None, "30m")


def test_the_settings_that_an_import_asks_for_are_settings_and_hold_no_secret() -> None:
    found = fixture("loop.json")
    assert "hunter2" not in found.text + "".join(found.notes)
    head = [line.removeprefix("# ") for line in found.text.splitlines() if line.startswith("# ")]
    registries = yaml.safe_load("\n".join(head[1:]))["registries"]
    settings = {name: RegistrySettings.model_validate(value) for name, value in registries.items()}
    assert settings["reg2-example-5443"].url == "https://reg2.example:5443"
    assert settings["reg2-example-5443"].password == "env:REG2_EXAMPLE_5443_PASSWORD"
    assert settings["docker-hub"].username is None


def test_everything_without_a_counterpart_is_noted_with_its_place_in_the_file_too() -> None:
    found = fixture("loop.json")
    for name in ("username, password, authToken", "remoteCA", "skipTLSVerification", "id, lastMirroredAt, lastStatus"):
        assert any(note.startswith(f"loop.json:19: pushMirroringPolicies.0: {name}: ") for note in found.notes), name
        assert f"  # {name}: " in found.text
    assert any("colour: nobody knows" in note for note in imported(promotion(colour="red")).notes)


def test_what_cannot_be_said_is_left_out_with_its_place_and_the_rest_is_taken() -> None:
    found = fixture("unusable.json")
    assert [policy.name for policy in policies(found)] == ["dev-ok-to-qa-ok"]
    assert [problem.split(": ")[2] for problem in found.problems] == [
        "sourceRepository",
        "tagTemplate",
        "rules.0.operator",
        "rules.0.values.0",
        "remoteHost",
        "neither targetRepository nor remoteHost is there",
    ]
    assert "geheim" not in found.text + "".join(found.problems)
    for problem in found.problems:
        assert f"# left out: {problem}" in found.text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("72h", "3d"),
        ("1h30m", "1h30m"),
        ("1.5h", "1h30m"),
        (".5s", "500ms"),
        ("1.h", "1h"),
        ("+5m", "5m"),
        ("300ms", "300ms"),
        ("7µs", "7us"),
        ("7us", "7us"),
        ("0", "0s"),
        ("2 weeks", "14d"),
        ("1 day 2 hours", "1d2h"),
    ],
)
def test_a_duration_of_go_or_of_the_pages_keeps_its_length(written: str, read: str) -> None:
    found = imported(ruled("bf", written, field="updated_at_duration"))
    assert policies(found)[0].rules[0].values == (read,)
    assert found.notes == ()


@pytest.mark.parametrize(("written", "read", "note"), [("3 months", "90d", "30 days"), ("1500ns", "2us", "rounded")])
def test_a_duration_that_cannot_keep_its_length_is_noted(written: str, read: str, note: str) -> None:
    found = imported(ruled("af", written, field="updated_at_duration"))
    assert policies(found)[0].rules[0].values == (read,)
    assert note in found.notes[0]


@pytest.mark.parametrize(
    "rule",
    [
        ruled("bf", "-5m", field="updated_at_duration"),
        ruled("bf", "5 parsecs", field="updated_at_duration"),
        ruled("bf", "9999999h", field="updated_at_duration"),
        ruled("bf", "", field="updated_at_duration"),
        ruled("bf", "yesterday", field="updated_at"),
        ruled("gte", "many", field="vulnerability_all"),
        ruled("gte", True, field="vulnerability_all"),
        ruled("eq", ""),
        ruled("eq"),
        ruled("matches", "("),
        ruled("gte", "1"),
        ruled("eq", "a", field="colour"),
        promotion(rules=["x"]),
        promotion(rules={"field": "tag"}),
        promotion(rules=[{"field": "tag", "operator": "eq", "values": ["a"], "not": True}]),
        promotion(enabled="yes"),
        promotion(tagTemplate="{1}"),
        promotion(tagTemplate=7),
        promotion(sourceRepository="dev/*"),
        promotion(sourceRepository=...),
        mirror(remoteHost="ftp://far.example"),
        mirror(remoteHost="https://far.example/path"),
        mirror(remoteHost="https://far.example:port"),
        mirror(remoteHost=...) | {"remoteHost": ""},
    ],
)
def test_a_policy_that_would_mean_something_else_is_left_out(rule: dict[str, Any]) -> None:
    found = imported([rule, promotion(sourceRepository="dev/y", targetRepository="qa/y")])
    assert len(found.problems) == 1
    assert found.problems[0].startswith("export.json:1: 0: ")
    assert [policy.name for policy in policies(found)] == ["dev-y-to-qa-y"]


def test_mirrors_are_told_apart_by_their_members_and_doubt_is_noted() -> None:
    (poll,) = policies(imported(mirror()))
    assert str(poll.source) == "far-example/far/x"
    doubtful = imported(mirror(rules=[], tagTemplate="%n"))
    assert str(policies(doubtful)[0].source) == "local/dev/x"
    assert "taken as push mirroring" in doubtful.notes[0]
    for kind, source in (("PUSH", "local/dev/x"), ("poll_mirroring", "far-example/far/x")):
        told = imported({"mirroringPolicies": [mirror(rules=[], tagTemplate="%n", mirroringType=kind)]})
        assert str(policies(told)[0].source) == source


def test_names_are_unique_and_short_and_hosts_with_several_users_are_several_registries() -> None:
    long = "a" * 60
    found = imported(
        [
            promotion(sourceRepository=f"dev/{long}", targetRepository=f"qa/{long}", tagTemplate="a-%n"),
            promotion(sourceRepository=f"dev/{long}", targetRepository=f"qa/{long}", tagTemplate="b-%n"),
            mirror(username="ann", remoteRepository="one"),
            mirror(username="bob", remoteRepository="two", localRepository="dev/z"),
            mirror(username="ann", remoteRepository="three", localRepository="dev/y"),
        ]
    )
    names = [policy.name for policy in policies(found)]
    assert len(set(names)) == 5
    assert max(map(len, names)) <= 63
    assert [policy.source.registry for policy in policies(found)[2:]] == ["far-example", "far-example-2", "far-example"]


def test_the_own_registry_has_the_name_that_is_given() -> None:
    found = policies(
        import_policies(read_exports(json.dumps([promotion(), mirror(remoteHost="https://msr")]), "e"), "msr")
    )
    assert [str(policy.source) for policy in found] == ["msr/dev/x", "msr-2/far/x"]


def test_what_the_check_would_refuse_is_said_at_once() -> None:
    found = imported([promotion(), promotion(sourceRepository="dev/y")])
    assert "could put different images under one tag" in found.problems[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no policy in it"),
        ("[]", "there is no policy in it"),
        ("{", "export.json:1: not JSON"),
        ('{"enabled": true}\n{"enabled": }', "export.json:2: not JSON"),
        ('{"enabled": true, "enabled": false}', "'enabled' is there twice"),
        ("NaN", "NaN is no number"),
        ("3", "export.json:1: the value: not a policy"),
        ("[[3]]", "export.json:1: 0.0: not a policy"),
        ('{"promotionPolicies": {}}', "promotionPolicies: a list of policies is expected"),
        ('{"promotionPolicies": [], "id": 1}', "id: beside promotionPolicies only"),
        ("[" * 100 + "]" * 100, "not a policy"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_export_is_refused(text: str, problem: str) -> None:
    with pytest.raises(MisuseError) as refused:
        imported(text)
    assert problem in str(refused.value)
