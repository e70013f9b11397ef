"""``docs/webhooks.md`` is complete, and every example in it does what it says."""

import base64
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import orjson
import pytest
import yaml
from jsonschema import Draft202012Validator

from schemas.webhooks import BODY_MAX, SUBSCRIPTIONS_MAX, Notified, Subscription, WebhookFormat
from streams.cli import webhook
from streams.trial import read_events
from tests.unit.notify.playing import Told
from towline.notify.document import read_subscriptions
from towline.notify.text import FIELDS
from towline.receivers.signing import secret_key, signature_headers
from towline.settings import ReceiverSettings

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "webhooks.md").read_text(encoding="utf-8")
_BLOCK = r"```{kind}\n((?:(?!```).)*)```"
FILES = re.findall(_BLOCK.format(kind="yaml"), TEXT, re.DOTALL)
EXAMPLES = re.findall(
    rf"{_BLOCK.format(kind='yaml')}\s*{_BLOCK.format(kind='event')}\s*{_BLOCK.format(kind='body')}", TEXT, re.DOTALL
)


def test_every_file_of_subscriptions_may_be_applied_with_the_receivers_shown() -> None:
    (settings,) = re.findall(_BLOCK.format(kind="settings"), TEXT, re.DOTALL)
    receivers = yaml.safe_load(settings)["receivers"]
    for receiver in receivers.values():
        ReceiverSettings.model_validate(receiver)
    assert len(FILES) == 4
    for file in FILES:
        assert read_subscriptions(file, set(receivers), {"local"}).subscriptions


def test_every_file_of_subscriptions_passes_the_schema_of_editors_and_one_with_a_mistake_does_not() -> None:
    schema = Draft202012Validator(orjson.loads((DOCS / "schemas" / "subscriptions.json").read_bytes()))
    example = (DOCS.parent / "examples" / "subscriptions.yaml").read_text(encoding="utf-8")
    for file in (*FILES, example):
        assert list(schema.iter_errors(yaml.safe_load(file))) == []
        assert list(schema.iter_errors(yaml.safe_load(file.replace("receiver:", "reciever:"))))


def test_there_is_an_example_of_each_format() -> None:
    assert len(EXAMPLES) == TEXT.count("```event") == TEXT.count("```body")
    formats = [read_subscriptions(file, None, None).subscriptions[0].format for file, _, _ in EXAMPLES]
    assert sorted(formats) == sorted(get_args(WebhookFormat))


@pytest.mark.parametrize("example", EXAMPLES, ids=["cloudevents", "text", "dtr"])
def test_an_example_is_told_as_it_says(example: tuple[str, str, str]) -> None:
    file, event, expected = example
    told = Told(*read_subscriptions(file, None, None).subscriptions)
    (given,) = read_events(event, "events")
    assert told.bodies(given.event) == [orjson.loads(expected.replace("{id}", given.event.id))]


@pytest.fixture
def is_genuine() -> Callable[[str, dict[str, str], bytes], bool]:
    (program,) = re.findall(_BLOCK.format(kind="python"), TEXT, re.DOTALL)
    names: dict[str, Callable[[str, dict[str, str], bytes], bool]] = {}
    exec(compile(program, "docs/webhooks.md", "exec"), names)  # noqa: S102 - it is the program that is shown
    return names["is_genuine"]


@pytest.mark.parametrize("secret", ["plain and long enough", "whsec_" + base64.b64encode(b"x" * 32).decode()])
def test_the_program_that_is_shown_takes_what_is_signed_and_nothing_else(
    secret: str, is_genuine: Callable[[str, dict[str, str], bytes], bool]
) -> None:
    now, body = int(time.time()), b'{"text":"hello"}'
    headers = signature_headers("an id", now, body, [secret_key("the other while rotating"), secret_key(secret)])
    assert is_genuine(secret, headers, body)
    assert is_genuine("the other while rotating", headers, body)
    assert not is_genuine(secret, headers, body + b" ")
    assert not is_genuine("another secret", headers, body)
    assert not is_genuine(secret, headers | {"webhook-id": "another id"}, body)
    assert not is_genuine(secret, headers | {"webhook-timestamp": str(now - 1)}, body)
    assert not is_genuine(secret, signature_headers("an id", now - 301, body, [secret_key(secret)]), body)


def test_every_member_event_field_format_and_command_is_in_the_reference() -> None:
    for name in Subscription.model_fields:
        assert f"| `{name}` |" in TEXT
    for name in (*get_args(Notified), *get_args(WebhookFormat)):
        assert f"`{name}`" in TEXT
    for name, meaning in FIELDS.items():
        assert f"| `{{{name}}}` | {meaning} |" in TEXT
    for command in webhook.WebhookCommands.late:
        assert f"towline webhook {command}" in TEXT


def test_the_bounds_are_those_of_the_contract() -> None:
    assert f"A file has {SUBSCRIPTIONS_MAX} subscriptions" in TEXT
    assert f"more than {BODY_MAX:,} characters" in TEXT
