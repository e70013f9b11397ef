"""Files of subscriptions: each problem at its line, with what to write instead."""

from pathlib import Path
from typing import get_args

import pytest

from schemas.webhooks import SUBSCRIPTIONS_MAX, Notified
from tests.support.subscriptions import subscription
from tests.unit.notify.playing import Told
from tests.unit.notify.test_matching import EVERYTHING, TOLD
from towline.errors import PolicyError
from towline.notify.document import read_subscriptions
from towline.notify.dtr import TYPED

RECEIVERS, REGISTRIES = {"hub", "chat"}, {"local", "remote"}
GOOD = """\
subscriptions:
  - name: one
    receiver: hub
    repository: local/dev/*
    events: [image.pushed, decision.deny]
"""


def refused(text: str) -> list[str]:
    with pytest.raises(PolicyError) as error:
        read_subscriptions(text, RECEIVERS, REGISTRIES, "file.yaml")
    return error.value.problems


def test_a_file_is_read_as_it_is_written() -> None:
    text = GOOD + '  - {name: two, receiver: chat, events: [poll.failed], format: text, template: "{{x}} {reason}"}'
    one, two = read_subscriptions(text, RECEIVERS, REGISTRIES).subscriptions
    assert (one.name, one.receiver, str(one.repository), one.events) == (
        "one", "hub", "local/dev/*", ("image.pushed", "decision.deny"),
    )  # fmt: skip
    assert (one.format, one.template, one.inactive) == ("cloudevents", None, None)
    assert (two.repository, two.format, two.template) == (None, "text", "{{x}} {reason}")
    assert read_subscriptions("subscriptions: []", RECEIVERS, REGISTRIES).subscriptions == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ":1: a file of subscriptions begins with `subscriptions:` and a list"),
        ("policies: []", ":1: a file of subscriptions begins with"),
        ("subscriptions: [", ":2: not YAML"),
        ("#" * 9_000_000, ":1: longer than"),
        (GOOD + "colour: red", ":6: colour: there is no such field; there are subscriptions"),
        (GOOD + "    reciever: hub", ":6: subscriptions.0.reciever: there is no such field; did you mean recei"),
        (GOOD.replace("name: one", "name: One"), ":2: subscriptions.0.name: 'One' is not up to 63"),
        (GOOD.replace("hub", "Hub"), ":3: subscriptions.0.receiver: 'Hub' is not up to 63 lower-case letters"),
        (GOOD.replace("    receiver: hub\n", ""), ":2: subscriptions.0.receiver: is missing; write up to 63"),
        (GOOD.replace("hub", "mail"), ":3: subscriptions.0.receiver: there is no receiver 'mail' in the settings"
            " (known: chat, hub)"),
        (GOOD.replace("local/dev/*", "dev"), ":4: subscriptions.0.repository: 'dev' is not REGISTRY/REPOSITORY"),
        (GOOD.replace("local/dev/*", "prod/dev/*"), ":4: subscriptions.0.repository: there is no registry 'prod'"
            " in the settings (known: local, remote), so nothing of it is ever told"),
        (GOOD.replace("image.pushed", "image.pulled"), ":5: subscriptions.0.events.0: 'image.pulled' is not known"
            " here; did you mean image.pushed?"),
        (GOOD.replace("decision.deny", "image.pushed"), ":5: subscriptions.0.events.1: image.pushed is there"),
        (GOOD.replace("[image.pushed, decision.deny]", "[]"), ":5: subscriptions.0.events: is empty"),
        (GOOD + "  - {name: one, receiver: hub, events: [poll.failed]}", ":6: subscriptions.1.name: 'one' is the"
            " name of subscriptions.0 already"),
        (GOOD + "    format: dtr", ":5: subscriptions.0.events.1: Docker Trusted Registry has no type for deci"),
        (GOOD + "    format: xml", ":6: subscriptions.0.format: 'xml' is not known here; there are cloudevents"),
        (GOOD + "    format: text", ":6: subscriptions.0.format: a text needs a template, such as"),
        (GOOD + "    template: x", ":6: subscriptions.0.template: only format text has a template, and this is"),
        (GOOD + "    format: text\n    template: '{colour}'", ":7: subscriptions.0.template: there is no field"
            " {colour}; there are event, status"),
        (GOOD + "    format: text\n    template: '{tag!r}'", ":7: subscriptions.0.template: a brace that belongs"
            " to no field is written twice: {{ or }}"),
        (GOOD + "    format: text\n    template: '{}'", ":7: subscriptions.0.template: there is no field {}"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_and_its_path(text: str, problem: str) -> None:
    found = refused(text)
    assert len(found) == 1
    assert found[0].startswith(f"file.yaml{problem}")


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    text = GOOD.replace("hub", "mail").replace("local/", "prod/") + "    format: dtr"
    assert [line.split(":")[1] for line in refused(text)] == ["3", "4", "5"]


def test_without_settings_any_name_will_do() -> None:
    assert read_subscriptions(GOOD.replace("hub", "mail").replace("local/", "prod/"), None, None)


def test_more_than_a_set_can_have_are_refused() -> None:
    rows = [f"  - {{name: n{number}, receiver: hub, events: [poll.failed]}}" for number in range(SUBSCRIPTIONS_MAX + 1)]
    assert "at most 200" in refused("subscriptions:\n" + "\n".join(rows))[0]


@pytest.mark.parametrize("name", TOLD)
def test_what_the_check_lets_pass_in_dtr_format_has_a_type_there_and_nothing_else_has(name: Notified) -> None:
    told = Told(subscription("wants", name, format="dtr"))
    assert bool(told.take(TOLD[name])) == (name in TYPED)


def test_every_event_of_the_contract_is_told_somewhere() -> None:
    assert set(get_args(Notified)) == set(EVERYTHING)
    assert {name for name in EVERYTHING if not name.startswith("decision.")} == {*TOLD, "image.deleted"}


def test_the_example_fits_settings_that_have_its_receivers() -> None:
    text = (Path(__file__).parents[3] / "examples" / "subscriptions.yaml").read_text()
    found = read_subscriptions(text, {"pipeline", "chat", "old-portal"}, {"local"})
    assert {one.format for one in found.subscriptions} == {"cloudevents", "dtr", "text"}
