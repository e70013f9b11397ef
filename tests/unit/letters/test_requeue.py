"""Dead letters are grouped by cause, and sent through again without a second effect."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from agents.intake import Intake
from agents.table import MemoryTable
from schemas.catalogue import decode
from schemas.commands import CopyImage
from schemas.deadletters import InputRequeued
from streams.cli import app, deadletters
from streams.deadletters import dead_letter
from streams.log import Append, LogRecord
from streams.memory_log import MemoryLog
from streams.topics import COMMANDS, DEADLETTERS, DECISIONS, EVENTS, INBOUND
from tests.support.builders import appends_of, policy, proposed, pushed, record_events, ticked
from tests.support.checkers import (
    all_records,
    check_causality,
    check_determinism,
    check_exactly_once_by_id,
    check_order,
)
from tests.support.gateways import events_in
from tests.support.world import in_place_of_kafka
from tests.unit.agents.harness import PARTITIONS, Run
from tests.unit.dialects.deliveries import fixture, structured
from towline import limits
from towline.dialects import Delivery
from towline.errors import LogUnavailableError

TO_QA = policy("to-qa", "local/dev/*", "local/qa/{1}")
JFROG = policy("jfrog", "local/docker-local/dev/*", "local/qa/{1}")
REASON = "unknown dialect 'new'; known are none"
#: Later than what the log in memory counts as time, earlier than what the builders' events say.
MOMENT_MS = 1_000_000


class Desk:
    """A log with an intake and an evaluator, and an operator."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = MemoryLog(partitions=PARTITIONS)
        in_place_of_kafka(monkeypatch, deadletters, self.log)
        asyncio.run(record_events(self.log, proposed(TO_QA, JFROG), partitions=PARTITIONS))
        self.work()

    def work(self) -> None:
        """Let everything be taken in that is there, by workers that begin anew."""

        async def main() -> None:
            for handler in (Intake(), None):
                run = Run(self.log, MemoryTable()) if handler is None else Run(self.log, MemoryTable(), handler=handler)
                await run.drain()
                assert run.failures == []
                await run.shell.close()

        asyncio.run(main())

    def reject(
        self,
        delivery: Delivery,
        dialect: str = "cloudevents",
        *,
        reason: str = REASON,
        offset: int = 7,
        after_ms: int = 0,
        key: bytes | None = b"any",
    ) -> str:
        """Keep a delivery as a dead letter, as a version did that could not read it; return its position."""
        headers = [(name, value.encode()) for name, value in delivery.headers.items()]
        headers += [("dialect", dialect.encode()), ("registry", b"local")]
        record = LogRecord(INBOUND, 1, offset, key, delivery.body, tuple(headers), MOMENT_MS + after_ms)
        return self.keep(record, reason)

    def keep(self, record: LogRecord, reason: str) -> str:
        position = asyncio.run(self.log.append(dead_letter(record, reason)))
        return f"{position.partition}/{position.offset}"

    def type(self, *arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["deadletters", *arguments])
        assert result.exit_code == code, result.output
        return str(result.output)

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.type(*arguments, "--json", code=code).splitlines()[-1])

    def requeue(self, *arguments: str, code: int = 0) -> Any:
        told = self.json("requeue", *arguments, code=code)
        self.work()
        return told

    def subjects(self, *types: str) -> list[str]:
        found = [json.loads(record.value or b"") for record in asyncio.run(all_records(self.log, EVENTS))]
        return [event["subject"] for event in found if event["type"] in types]

    def effects(self) -> list[bytes]:
        """Every decision and every copy, each once: what somebody would notice."""
        found = [
            record.value or b""
            for topic in (DECISIONS, COMMANDS)
            for record in asyncio.run(all_records(self.log, topic))
        ]
        return sorted({value for value in found if not isinstance(decode(value).data, CopyImage)})

    def copies(self) -> set[str]:
        found = [decode(record.value or b"") for record in asyncio.run(all_records(self.log, COMMANDS))]
        return {item.id for item in found if isinstance(item.data, CopyImage)}


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def cloud_event(name: str, tag: str = "1.0") -> Delivery:
    body = json.loads(structured().body)
    body["id"], body["data"]["tag"] = name, tag
    return Delivery({"content-type": "application/cloudevents+json"}, json.dumps(body).encode())


def test_a_thousand_of_one_kind_are_one_group_with_an_example(desk: Desk) -> None:
    for number in range(30):
        desk.reject(fixture("quay", "push"), offset=number, reason=f"events.{number}.tag: 'x{number}' is none")
    last = desk.reject(cloud_event("a"), offset=30, reason="events.99.tag: 'y' is none", after_ms=1000)
    desk.reject(cloud_event("a"), offset=31, reason="not JSON")
    desk.keep(LogRecord(EVENTS, 0, 0, b"k", b"{}", (), MOMENT_MS), "not JSON")
    groups = desk.json("list")["groups"]
    assert [(one["count"], one["cause"], one["topic"]) for one in groups] == [
        (31, "events.N.tag: … is none", INBOUND),
        (1, "not JSON", EVENTS),
        (1, "not JSON", INBOUND),
    ]
    assert groups[0]["example"] == f"{DEADLETTERS}/{last.replace('/', '@')}"
    assert (groups[0]["first"], groups[0]["last"]) == ("1970-01-01T00:16:40.000000Z", "1970-01-01T00:16:41.000000Z")
    assert "events.N.tag: … is none" in desk.type("list")


def test_a_letter_that_a_crash_wrote_twice_counts_once(desk: Desk) -> None:
    for _ in range(2):
        desk.reject(cloud_event("a"))
    assert desk.json("list")["groups"][0]["count"] == 1


def test_letters_are_chosen_by_cause_topic_and_time(desk: Desk) -> None:
    for offset, reason in enumerate(("not JSON", "no value", "not JSON")):
        desk.reject(cloud_event("a"), offset=offset, reason=reason, after_ms=offset * 60_000)

    def inputs(*arguments: str) -> list[str]:
        return [one["input"][-1] for one in desk.json("list", "--each", *arguments)["letters"]]

    assert inputs() == ["0", "1", "2"]
    assert inputs("--cause", "NOT json") == ["0", "2"]
    assert inputs("--from", "1970-01-01T00:17:40Z") == ["1", "2"]
    assert inputs("--to", "1970-01-01T00:17:40Z") == ["0"]
    assert inputs("--topic", EVENTS) == []
    assert "is no moment" in desk.type("list", "--from", "yesterday", code=2)


def test_a_letter_is_shown_with_its_bytes_as_text_that_no_terminal_obeys(desk: Desk) -> None:
    record = LogRecord(INBOUND, 2, 5, b"k\xff", b"\x1b[31m{\xff", (("x-y", b"\x1b[0m"),), MOMENT_MS)
    position = desk.keep(record, "not JSON\x1b[31m")
    out = desk.type("show", position)
    assert "\x1b" not in out
    assert "{\\xff" in out
    assert "it still cannot be used" in out
    told = desk.json("show", f"{INBOUND}/2@5")
    assert (told["key"], told["headers"], told["reason"]) == ("k\\xff", {"x-y": "\x1b[0m"}, "not JSON\x1b[31m")
    assert desk.json("show", told["id"][:10])["id"] == told["id"]
    assert "no dead letter is called 9/9" in desk.type("show", "9/9", code=2)


def test_what_can_be_used_now_is_decided_once_however_often_it_is_sent(desk: Desk) -> None:
    position = desk.reject(cloud_event("a"))
    told = desk.requeue(position)
    assert (told["sent"], told["requeued"][0]["instead"]) == (True, "")
    effects, copies = desk.effects(), desk.copies()
    assert len(copies) == 1
    assert "sent it again at" in desk.type("requeue", position, code=2)
    assert desk.json("list")["groups"][0]["requeued"] == 1
    assert desk.requeue("--cause", "unknown dialect", code=1)["requeued"] == []
    assert (desk.effects(), desk.copies()) == (effects, copies)
    # Not all checks: the letter's input was never in this log.
    for check in (check_order, check_exactly_once_by_id, check_determinism, check_causality):
        asyncio.run(check(desk.log))


def test_the_bytes_the_key_and_the_headers_are_those_of_the_producer(desk: Desk) -> None:
    desk.requeue(desk.reject(fixture("quay", "push"), "quay"))
    (record,) = asyncio.run(all_records(desk.log, INBOUND))
    assert (record.key, record.value) == (b"any", fixture("quay", "push").body)
    assert dict(record.headers)["dialect"] == b"quay"
    assert not any(name.startswith("input.") for name, _ in record.headers)


def test_without_a_key_it_goes_to_the_partition_that_it_had(desk: Desk) -> None:
    desk.requeue(desk.reject(cloud_event("a"), key=None))
    (record,) = asyncio.run(all_records(desk.log, INBOUND))
    assert (record.key, record.partition) == (None, 1)
    assert desk.subjects("image.pushed") == ["local/dev/website:1.0-stable".replace("1.0-stable", "1.0")]


def test_what_was_delivered_meanwhile_is_looked_at_and_not_told_again(desk: Desk) -> None:
    position = desk.reject(cloud_event("a"))

    async def deliver() -> None:
        headers = (("dialect", b"cloudevents"), ("registry", b"local"))
        for _ in range(MOMENT_MS // 500_000):
            await desk.log.append(Append(INBOUND, b"any", cloud_event("a").body, headers=headers))

    asyncio.run(deliver())
    desk.work()
    # The log in memory counts its time in records, so what is delivered late has to come by an event of its own.
    asyncio.run(record_events(desk.log, pushed("local/dev/website:1.0", "newer"), partitions=PARTITIONS))
    desk.work()
    copies = desk.copies()
    told = desk.requeue(position)
    assert told["requeued"][0]["instead"] == "the log heard of local/dev/website:1.0 since"
    assert desk.subjects("image.hinted") == ["local/dev/website:1.0"]
    assert desk.copies() == copies


def test_two_letters_about_one_tag_have_its_registry_asked(desk: Desk) -> None:
    positions = [desk.reject(cloud_event(name), offset=number) for number, name in enumerate("ab")]
    told = desk.requeue(*positions)
    assert {one["instead"] for one in told["requeued"]} == {"other letters are about local/dev/website:1.0 too"}
    assert set(desk.subjects("image.hinted")) == {"local/dev/website:1.0"}
    assert desk.subjects("image.pushed") == []


def test_what_its_sender_does_not_name_has_its_registry_asked(desk: Desk) -> None:
    told = desk.requeue(desk.reject(fixture("jfrog", "pushed"), "jfrog"))
    assert told["requeued"][0]["instead"] == "its sender does not name what it delivers"
    assert desk.subjects("image.pushed") == []


def test_all_of_a_cause_are_sent_and_what_cannot_be_is_told(desk: Desk) -> None:
    for number in range(5):
        desk.reject(cloud_event(str(number), tag=f"1.{number}"), offset=number)
    desk.reject(Delivery({}, b"{"), offset=9)
    desk.reject(cloud_event("other"), offset=10, reason="another")
    told = desk.json("requeue", "--cause", "unknown dialect", "--dry-run")
    assert (told["sent"], len(told["requeued"]), len(told["refused"])) == (False, 5, 1)
    assert asyncio.run(all_records(desk.log, INBOUND)) == []
    told = desk.requeue("--cause", "unknown dialect")
    assert "it still cannot be used" in told["refused"][0]["reason"]
    assert desk.subjects("image.pushed") == [f"local/dev/website:1.{number}" for number in range(5)]
    assert len(desk.copies()) == 5


def test_one_requeue_has_a_bound_and_says_how_many_are_left(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "retry_count", 2)
    for number in range(5):
        desk.reject(cloud_event(str(number), tag=f"1.{number}"), offset=number)
    assert [desk.requeue("--cause", "unknown")["more"] for _ in range(3)] == [3, 1, 0]
    assert len(desk.copies()) == 5


@pytest.mark.parametrize("at", range(4))
def test_a_requeue_that_breaks_off_sends_nothing_twice_when_it_is_done_again(desk: Desk, at: int) -> None:
    for number in range(2):
        desk.reject(cloud_event(str(number), tag=f"1.{number}"), offset=number)
    count = 0

    async def lose(_: Append) -> None:
        nonlocal count
        count += 1
        if count > at:
            raise LogUnavailableError("the broker went away")

    desk.log.before_append = lose
    desk.type("requeue", "--cause", "unknown", code=3)
    desk.log.before_append = None
    desk.requeue("--cause", "unknown")
    assert len(desk.copies()) == 2
    assert len({event.id for event in asyncio.run(events_in(desk.log)) if event.subject.startswith("local/dev")}) == 2


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (LogRecord(INBOUND, 0, 0, b"k", b"x" * (limits.deadletter_value_bytes + 1), (), 0), "too many to be kept"),
        (LogRecord(INBOUND, 0, 0, b"k", None, (), 0), "had no value"),
        (LogRecord(INBOUND, 0, 0, b"k", b"{", (("h", b"x" * 70_000),), 0), "its headers were too many"),
        (LogRecord(EVENTS, 0, 0, b"k", b"{", (), 0), "it still cannot be used"),
        (LogRecord(EVENTS, 0, 0, b"k", appends_of(ticked(1), 1)[0].value, (), 0), "goes to every partition"),
        (LogRecord(COMMANDS, 0, 0, b"k", b"{", (), 0), "follows from decisions"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_what_to_do_and_nothing_is_written(
    desk: Desk, record: LogRecord, why: str
) -> None:
    position = desk.keep(record, "too bad")
    other = desk.reject(cloud_event("a"), offset=99)
    before = [len(asyncio.run(all_records(desk.log, topic))) for topic in (INBOUND, EVENTS, DEADLETTERS)]
    out = desk.type("requeue", position, other, code=2)
    assert why in out
    assert "nothing was sent" in out
    assert why in desk.type("show", position)
    assert [len(asyncio.run(all_records(desk.log, topic))) for topic in (INBOUND, EVENTS, DEADLETTERS)] == before


def test_an_event_that_was_set_aside_in_the_log_is_appended_where_it_belongs(desk: Desk) -> None:
    event = pushed("local/dev/app:1.0", "one")
    (home,) = appends_of(event, PARTITIONS)
    wrong = ((home.partition or 0) + 1) % PARTITIONS
    record = LogRecord(EVENTS, wrong, 0, b"another key", home.value, (), MOMENT_MS)
    desk.requeue(desk.keep(record, "it belongs into another partition"))
    assert desk.subjects("image.pushed") == ["local/dev/app:1.0"]
    assert len(desk.copies()) == 1


def test_an_event_that_a_bug_stopped_at_is_not_taken_for_a_later_one_of_itself(desk: Desk) -> None:
    event = pushed("local/dev/app:1.0", "one")
    asyncio.run(record_events(desk.log, event, partitions=PARTITIONS))
    (stored,) = [one for one in asyncio.run(all_records(desk.log, EVENTS)) if b'"image.pushed"' in (one.value or b"")]
    told = desk.json("requeue", desk.keep(stored, "a bug"), "--dry-run")
    assert told["requeued"][0]["instead"] == ""


def test_an_old_event_of_the_log_does_not_bring_an_old_image_back(desk: Desk) -> None:
    (home,) = appends_of(pushed("local/dev/app:1.0", "old"), PARTITIONS)
    position = desk.keep(LogRecord(EVENTS, 0, 0, home.key, home.value, (), MOMENT_MS), "a bug")
    asyncio.run(record_events(desk.log, pushed("local/dev/app:1.0", "new"), partitions=PARTITIONS))
    assert desk.requeue(position)["requeued"][0]["instead"] == "the log heard of local/dev/app:1.0 since"
    assert len(desk.copies()) == 1


def test_that_a_letter_was_sent_is_told_behind_it(desk: Desk) -> None:
    desk.requeue(desk.reject(cloud_event("a")))
    letter, note = (decode(record.value or b"") for record in asyncio.run(all_records(desk.log, DEADLETTERS)))
    assert isinstance(note.data, InputRequeued)
    assert (note.data.letter_id, note.data.sent) == (letter.id, "delivery")


def test_letters_are_named_or_chosen_by_cause_and_not_both(desk: Desk) -> None:
    for arguments in ([], ["1/2", "--cause", "x"], ["--cause", ""]):
        assert "say which dead letters" in desk.type("requeue", *arguments, code=2)
    assert desk.json("list") == {"groups": []}
    assert "no dead letters" in desk.type("list")
