"""A policy file that is wrong is refused with the file, the line and the path of everything that is wrong."""

import pytest

from towline.errors import PolicyError
from towline.policy.document import read_policies
from towline.policy.rules.windows import TZDATA

KNOWN = {"local", "remote"}

GOOD = """\
policies:
  - name: one
    source: local/dev/app
    target: local/qa/app
    rules:
      - {field: tag, operator: ends-with, values: ["-stable"]}
"""


def refused(text: str) -> list[str]:
    with pytest.raises(PolicyError) as error:
        read_policies(text, KNOWN, "file.yaml")
    return error.value.problems


def test_a_file_as_people_write_it_is_read() -> None:
    (read,) = read_policies(GOOD, KNOWN).policies
    assert (read.name, read.tag, read.rules[0].values) == ("one", "%n", ("-stable",))
    assert read_policies("policies: []", KNOWN).policies == ()
    assert read_policies("\ufeff" + GOOD, KNOWN).policies == (read,)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1.10", "1.10"),
        ("010", "010"),
        ("0", "0"),
        ("9:30", "9:30"),
        ("1_000", "1_000"),
        ("2026-11-24", "2026-11-24"),
        ("1e3", "1e3"),
        ("'on'", "on"),
        ('"a\\tb"', "a\tb"),
        ("0x10", "0x10"),
    ],
)
def test_a_value_is_read_as_it_is_written(written: str, read: str) -> None:
    text = GOOD.replace('"-stable"', written).replace("field: tag", "field: component.name")
    assert read_policies(text, KNOWN).policies[0].rules[0].values == (read,)


def test_an_alias_and_a_merge_repeat_what_came_before() -> None:
    text = """\
policies:
  - &base {name: one, source: local/a, target: remote/a, rules: &rules [{field: tag, operator: equals, values: [x]}]}
  - {<<: *base, name: two, target: remote/b}
  - {name: three, source: local/c, target: remote/c, rules: *rules}
"""
    one, two, three = read_policies(text, KNOWN).policies
    assert (two.name, two.source, str(two.target)) == ("two", one.source, "remote/b")
    assert one.rules == two.rules == three.rules


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("policies: [", "file.yaml:2: not YAML: did not find expected node content"),
        ("policies:\n\t- name: a", "file.yaml:2: not YAML: the line begins with a tab; indent with spaces"),
        ("policies: @x", "file.yaml:1: not YAML: found character"),
        ("policies: []\x07", "file.yaml:1: not YAML: there is a control character"),
        ("", "file.yaml:1: a policy file begins with"),
        ("# nothing", "file.yaml:1: a policy file begins with"),
        ("\n- name: one", "file.yaml:2: a policy file begins with"),
        ("policies: 3", "file.yaml:1: policies: 3 is not a list"),
        ("policies:\n", "file.yaml:1: policies: nothing is not a list"),
        (GOOD + "---\npolicies: []", "file.yaml:7: a second document begins"),
        (GOOD + "policies: []", "file.yaml:7: 'policies' is written twice; the first is in line 1"),
        (GOOD + "    name: two", "file.yaml:7: 'name' is written twice; the first is in line 2"),
        (GOOD + "    1: two", "file.yaml:7: 1 cannot be the name of a field"),
        (GOOD + "    [a]: two", "file.yaml:7: a list or mapping cannot be the name of a field"),
        (GOOD + "    <<: 3", "file.yaml:7: `<<` takes the fields of one other mapping"),
        (GOOD + "    poll: *gone", "file.yaml:7: *gone stands for nothing"),
        (GOOD + "    poll: !!str 3m", "file.yaml:7: the tag tag:yaml.org,2002:str means nothing here"),
        (GOOD + "    poll: !!python/name:os.system 3m", "file.yaml:7: the tag tag:yaml.org,2002:python"),
        ("policies: &a [*a]", "file.yaml:1: *a stands for nothing"),
        ("policies: " + "[" * 50_000, "file.yaml:1: nested deeper than 32 levels"),
        (GOOD + "tzdata: 2026a", "file.yaml:7: tzdata: the check finds it out"),
        (GOOD.replace("field: tag", "field: colour"), "file.yaml:6: policies.0.rules.0.field: 'colour' is not known"),
        (GOOD.replace("field: tag, ", ""), "file.yaml:6: policies.0.rules.0.field: is missing"),
        (GOOD.replace("ends-with", "ew"), "file.yaml:6: policies.0.rules.0.operator: 'ew' is not known here; did you"),
        (GOOD.replace('"-stable"', "on"), "file.yaml:6: policies.0.rules.0.values.0: true (or yes"),
        (GOOD.replace('["-stable"]', "[]"), "file.yaml:6: policies.0.rules.0.values: is empty"),
        (GOOD.replace('["-stable"]', "x"), "file.yaml:6: policies.0.rules.0.values: 'x' is not a list; write [x]"),
        (GOOD.replace("field: tag", "field: window"), "file.yaml:6: policies.0.rules.0.operator: 'ends-with' is not"),
        (GOOD.replace("name: one", "name: One"), "file.yaml:2: policies.0.name: 'One' is not up to 63"),
        (GOOD.replace("local/dev/app", "app"), "file.yaml:3: policies.0.source: 'app' is not REGISTRY"),
        (GOOD.replace("local/dev/app", "local/-app"), "file.yaml:3: policies.0.source: 'local/-app' is not a rep"),
        (GOOD + "    colour: red", "file.yaml:7: policies.0.colour: there is no such field; there are name"),
        (GOOD + "    overwite: never", "file.yaml:7: policies.0.overwite: there is no such field; did you mean overw"),
        (GOOD + "    poll: 30", "file.yaml:7: policies.0.poll: 30 is not a span of time, such as 30m"),
        (GOOD + "    poll: 30s", "file.yaml:7: policies.0.poll: 30s is shorter than a minute"),
        (GOOD + "    deletions: 10", "file.yaml:7: policies.0.deletions: 10 is not never, or a share such as 10%"),
        (GOOD + "    deletions: 0%", "file.yaml:7: policies.0.deletions: '0%' is not never, or a share such as 10%"),
        (GOOD + "    deletions: 101%", "file.yaml:7: policies.0.deletions: '101%' is not never, or a share"),
        (GOOD + "    deletions: off", "file.yaml:7: policies.0.deletions: false (or yes, no, on, off) is not a text"),
        (GOOD + "    tag: stable\n    deletions: 5%", "file.yaml:8: policies.0.deletions: the tag template needs %n"),
        (GOOD + "    tag: %n-%d\n    deletions: 5%", "file.yaml:7: not YAML"),
        (GOOD + "    tag: '%n-%d'\n    deletions: 5%", "file.yaml:8: policies.0.deletions: the tag template has %d"),
        (GOOD + "reconcile: often", "file.yaml:7: reconcile: 'often' is not a span of time, such as 6h, or never"),
        (GOOD + "reconcile: 6", "file.yaml:7: reconcile: 6 is not a span of time, such as 6h, or never"),
        (GOOD + "reconcile: 59s", "file.yaml:7: reconcile: 59s is shorter than a minute"),
        (GOOD + "reconcile: 5300w", "file.yaml:7: reconcile: '5300w' is longer than a century"),
        (GOOD + "reconsile: 6h", "file.yaml:7: reconsile: there is no such field; did you mean reconcile?"),
        (GOOD + "    mode: off", "file.yaml:7: policies.0.mode: false is not known here; there are enforce"),
        (GOOD + "    referrers: 1", "file.yaml:7: policies.0.referrers: 1 is neither true nor false"),
        (GOOD.replace("    target: local/qa/app\n", ""), "file.yaml:2: policies.0.target: is missing; write"),
        (GOOD.replace("local/qa/app", "local/dev/app"), "file.yaml:4: policies.0.target: closes a cycle"),
        (GOOD.replace("local/qa/app", "nowhere/app"), "file.yaml:4: policies.0.target: there is no registry"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_place(text: str, problem: str) -> None:
    (found,) = refused(text)
    assert found.startswith(problem)


def test_all_problems_of_a_file_are_told_at_once_in_its_order() -> None:
    found = refused(GOOD.replace("field: tag", "field: colour").replace("name: one", "name: One"))
    assert [line.split(": ")[0] for line in found] == ["file.yaml:2", "file.yaml:6"]


def test_aliases_of_aliases_do_not_grow_without_end() -> None:
    rows = ["x0: &x0 [a, a, a, a, a, a, a, a, a, a]"]
    rows += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 12)]
    (found,) = refused("\n".join([*rows, "policies: []"]))
    assert "more than 2000000 values" in found


def test_a_file_that_no_record_could_hold_is_refused_unread() -> None:
    assert "longer than" in refused("#" * 9_000_000)[0]


def test_a_set_that_names_a_time_zone_says_with_which_release_it_was_checked() -> None:
    window = '{field: window, operator: inside, values: ["Mon"], timezone: Europe/Berlin}'
    rule = GOOD.splitlines()[-1].strip().removeprefix("- ")
    assert read_policies(GOOD.replace(rule, window), KNOWN).tzdata == TZDATA
    assert read_policies(GOOD.replace(rule, window.replace("Europe/Berlin", "UTC")), KNOWN).tzdata is None
    assert read_policies(GOOD, KNOWN).tzdata is None


def test_any_registry_will_do_when_none_is_known() -> None:
    assert read_policies(GOOD.replace("local/", "anything/"), None).policies


@pytest.mark.parametrize("more", ["reconcile: never", "reconcile: 1m", "    poll: 1m", "    deletions: 100%"])
def test_what_is_compared_and_how_much_may_go_is_read(more: str) -> None:
    assert read_policies(GOOD + more, None, "file.yaml").policies


def test_by_default_sources_are_compared_every_six_hours_and_no_deletion_is_followed() -> None:
    found = read_policies(GOOD, None, "file.yaml")
    assert (found.reconcile, found.policies[0].deletions) == ("6h", "never")
