"""What counts is who said it: what anybody could have said is looked up first."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.events import ImageHinted, ImagePushed
from schemas.facts import ScanNoticed
from streams.memory_log import MemoryLog
from tests.support.gateways import app, calling, events_in
from tests.unit.dialects.deliveries import (
    FIXTURES,
    delivery_of,
    distribution,
    distribution_event,
    fixture,
    push_data,
    structured,
)
from towline.dialects import DIALECTS, Delivery, Translation, translate
from towline.errors import UnusableInputError
from towline.hook_settings import HookSettings

SECRET = "0123456789abcdef"
BODY = distribution(distribution_event()).body


def hook_of(tmp_path: Path, **members: Any) -> HookSettings:
    (tmp_path / "secret").write_text(SECRET)
    for way in {"token", "path"} & members.keys():
        members[way] = f"file:{tmp_path / 'secret'}"
    return HookSettings(registry="local", **members)


async def told(hook: HookSettings, body: bytes = BODY) -> list[Any]:
    log = MemoryLog()
    address = f"/hooks/local/{SECRET}" if hook.path else "/hooks/local"
    async with calling(app(log, hooks={"local": hook})) as client:
        answer = await client.post(address, content=body, headers={"authorization": f"Bearer {SECRET}"})
    assert answer.status_code == 202
    return [event.data for event in await events_in(log)]


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"token": ""}, ImagePushed),
        ({"token": "", "trust": "full"}, ImagePushed),
        ({"token": "", "trust": "hint"}, ImageHinted),
        ({"path": ""}, ImageHinted),
        ({"path": "", "trust": "hint"}, ImageHinted),
        ({"path": "", "trust": "full"}, ImagePushed),
        ({"anonymous": True}, ImageHinted),
        ({"anonymous": True, "trust": "full"}, ImagePushed),
    ],
    ids=str,
)
async def test_facts_of_who_cannot_be_known_are_hints_unless_the_settings_say_otherwise(
    tmp_path: Path, members: dict[str, Any], kind: type
) -> None:
    (data,) = await told(hook_of(tmp_path, **members))
    assert isinstance(data, kind)


async def test_a_stranger_names_no_digest_and_nobody(tmp_path: Path) -> None:
    (data,) = await told(hook_of(tmp_path, path=""))
    assert (data.tag, data.actor) == ("1.0", None)
    assert "sha256" not in repr(data)


async def test_the_answer_counts_what_was_passed_over(tmp_path: Path) -> None:
    event = distribution_event(action="delete", target__tag=None, target__mediaType=None)
    log = MemoryLog()
    async with calling(app(log, hooks={"local": hook_of(tmp_path, anonymous=True)})) as client:
        answer = await client.post("/hooks/local", content=distribution(event).body)
    assert (answer.status_code, answer.json()) == (202, {"events": [], "passed_over": 1, "flags": []})


def understood(dialect: str, delivery: Delivery) -> tuple[Translation | None, str]:
    try:
        return translate(dialect, delivery, "local"), ""
    except UnusableInputError as error:
        return None, str(error)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_every_dialect_can_be_a_hooks(tmp_path: Path, dialect: str) -> None:
    hook = hook_of(tmp_path, token="", dialect=dialect)
    log, expected = MemoryLog(), 0
    async with calling(app(log, hooks={"local": hook})) as client:
        for path in sorted((FIXTURES / dialect).glob("*.json")):
            delivery = delivery_of(json.loads(path.read_text(encoding="utf-8")))
            headers = {**delivery.headers, "authorization": f"Bearer {SECRET}"}
            answer = await client.post("/hooks/local", content=delivery.body, headers=headers)
            translation, reason = understood(dialect, delivery)
            if translation is None:
                assert (answer.status_code, answer.json()) == (400, {"error": {"reason": reason}})
                continue
            assert answer.status_code == (200 if translation.handshake else 202)
            expected += len(translation.facts) + len(translation.hints) + len(translation.notices)
    assert len(await events_in(log)) == expected > 0


async def test_a_scan_of_a_known_sender_is_noticed(tmp_path: Path) -> None:
    hook = hook_of(tmp_path, token="", dialect="ecr")
    (data,) = await told(hook, fixture("ecr", "scan-completed").body)
    assert isinstance(data, ScanNoticed)


async def test_producers_of_cloudevents_may_name_the_registry_themselves(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    hook = HookSettings(dialect="cloudevents", token=f"file:{tmp_path / 'secret'}")
    delivery = structured(data=push_data(repository="elsewhere/dev/website"))
    log = MemoryLog()
    async with calling(app(log, hooks={"ci": hook})) as client:
        headers = {**delivery.headers, "authorization": f"Bearer {SECRET}"}
        answer = await client.post("/hooks/ci", content=delivery.body, headers=headers)
    assert answer.status_code == 202
    (event,) = await events_in(log)
    assert event.subject == "elsewhere/dev/website:1.0"
