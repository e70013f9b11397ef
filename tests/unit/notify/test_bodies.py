"""What is sent, to the byte: CloudEvents, DTR's envelope, a line of text."""

from typing import Any

import orjson
import pytest

from schemas.canonical import canonical_bytes
from schemas.catalogue import decode, encode
from schemas.envelope import Envelope
from schemas.events import TagRemoved, TransferFailed
from schemas.references import Frozen
from schemas.webhooks import BODY_MAX, Notified
from tests.support.builders import (
    at,
    command,
    completed,
    deleted,
    digest,
    envelope,
    failed,
    outcome,
    policy,
    published,
    pushed,
    removal,
    rule,
)
from tests.support.facts import poll_failed, scanned, vulnerability
from tests.support.hints import noticed
from tests.support.subscriptions import subscription
from tests.unit.notify.playing import Told
from towline.notify.text import FIELDS

APP, QA = "local/dev/app", "local/qa/app"
PUSH = pushed(f"{APP}:1", "one")


def sent(event: Envelope[Frozen], name: str, *before: Envelope[Frozen], **more: Any) -> tuple[str, str]:
    """Return the media type and the body with which the only webhook of the last event tells of it."""
    told = Told(subscription("wants", name, **more))
    told.take(*before)
    (given,) = told.take(event)
    return given.data.content_type, given.data.body


def in_dtr(event: Envelope[Frozen], name: str, *before: Envelope[Frozen]) -> dict[str, Any]:
    media_type, body = sent(event, name, *before, format="dtr")
    assert media_type == "application/json; charset=utf-8"
    found: dict[str, Any] = orjson.loads(body)
    assert set(found) == {"type", "createdAt", "contents", "location"}
    return found


def in_text(event: Envelope[Frozen], name: str, template: str, *before: Envelope[Frozen]) -> str:
    media_type, body = sent(event, name, *before, format="text", template=template)
    assert media_type == "application/json; charset=utf-8"
    (text,) = orjson.loads(body).values()
    return str(text)


def test_a_cloudevent_is_the_record_as_it_is_in_the_log() -> None:
    media_type, body = sent(PUSH, "image.pushed")
    assert media_type == "application/cloudevents+json; charset=utf-8"
    assert body.encode() == encode(PUSH)
    decision = decode(sent(PUSH, "decision.ignore")[1].encode())
    assert (decision.data.verdict, decision.data.event_id) == ("ignore", PUSH.id)  # type: ignore[attr-defined]


def test_a_record_that_is_too_large_is_told_with_what_identifies_it_and_a_note() -> None:
    scan = scanned(APP, "one", *(vulnerability(f"CVE-{number}") for number in range(5_000)))
    assert len(encode(scan)) > BODY_MAX
    body = sent(scan, "scan.completed")[1]
    whole = orjson.loads(body)
    assert body.encode() == canonical_bytes(whole)
    assert (whole["id"], whole["type"], whole["data"]["digest"]) == (scan.id, "scan.completed", digest("one"))
    assert whole["data"]["omitted"] == ["vulnerabilities"]
    assert "is in the log" in whole["data"]["note"]


def test_a_text_that_is_too_long_is_cut_and_named_among_what_is_omitted() -> None:
    copy = command(f"{APP}:1", f"{QA}:1", "one")
    data = failed(copy.id, copy.data).model_copy(update={"detail": "x" * (BODY_MAX + 1)})
    assert isinstance(data, TransferFailed)
    body = orjson.loads(sent(outcome(data), "transfer.failed")[1])
    assert (body["data"]["detail"], body["data"]["omitted"]) == ("x" * 512, ["detail"])


def test_dtr_is_told_of_a_push_as_tag_push() -> None:
    assert in_dtr(PUSH, "image.pushed") == {
        "type": "TAG_PUSH",
        "createdAt": at(0),
        "location": "/repositories/dev/app/tags/1",
        "contents": {
            "namespace": "dev",
            "repository": "app",
            "tag": "1",
            "digest": digest("one"),
            "imageName": "local/dev/app:1",
            "os": "",
            "architecture": "",
            "author": "ci",
            "pushedAt": at(0),
        },
    }


@pytest.mark.parametrize(
    ("path", "names"), [("app", ("", "app")), ("a/b", ("a", "b")), ("dev/team/web", ("dev", "team/web"))]
)
def test_the_first_part_of_a_path_is_its_namespace(path: str, names: tuple[str, str]) -> None:
    contents = in_dtr(pushed(f"local/{path}:1", "one"), "image.pushed")["contents"]
    assert (contents["namespace"], contents["repository"]) == names


def test_dtr_is_told_of_a_deletion_and_of_a_removal_as_tag_delete() -> None:
    found = in_dtr(deleted(f"{APP}:1", time=at(9)), "image.deleted", PUSH)
    assert (found["type"], found["contents"]["deletedAt"], found["contents"]["digest"]) == ("TAG_DELETE", at(9), "")
    gone = removal(f"{APP}:1", f"{QA}:1", "one")
    data = TagRemoved(**gone.data.outcome_members(gone.id), previous_digest=digest("one"))
    found = in_dtr(envelope(data, subject=f"{QA}:1", key="removed", time=at(9)), "tag.removed")
    assert (found["type"], found["location"]) == ("TAG_DELETE", "/repositories/qa/app/tags/1")
    assert (found["contents"]["digest"], found["contents"]["deletedAt"]) == (digest("one"), at(9))


def test_dtr_is_told_of_a_scan_in_its_three_bands() -> None:
    found = [
        vulnerability("CVE-1", score_tenths=70),
        vulnerability("CVE-2", score_tenths=69),
        vulnerability("CVE-3", score_tenths=39),
        vulnerability("CVE-3", score_tenths=39),
        vulnerability("CVE-4", severity="high", score_tenths=None),
        vulnerability("CVE-5", severity="unknown", score_tenths=None),
    ]
    whole = in_dtr(scanned(APP, "one", *found), "scan.completed")
    summary = whole["contents"]["scanSummary"]
    assert (whole["type"], whole["contents"]["imageName"]) == ("SCAN_COMPLETED", f"{APP}@{digest('one')}")
    assert (summary["critical"], summary["major"], summary["minor"], summary["last_scan_status"]) == (2, 1, 1, 6)
    assert summary["check_completed_at"] == at(0)


def test_dtr_is_told_of_notices_with_their_numbers_and_of_failed_scans() -> None:
    noticed_with = noticed(f"{APP}:1", "one", counts={"critical": 1, "high": 2, "medium": 3, "low": 4, "none": 5})
    whole = in_dtr(noticed_with, "scan.noticed")
    summary = whole["contents"]["scanSummary"]
    assert (summary["critical"], summary["major"], summary["minor"]) == (3, 3, 4)
    assert (whole["contents"]["imageName"], summary["tag"]) == (f"{APP}:1", "1")
    whole = in_dtr(noticed(f"{APP}:1", succeeded=False), "scan.noticed")
    assert (whole["type"], whole["contents"]["error"]) == ("SCAN_FAILED", "trivy reports that the scan failed")


def copied(source: str, target: str) -> Envelope[Frozen]:
    copy = command(source, target, "one")
    return outcome(completed(copy.id, copy.data))


def test_dtr_is_told_of_a_transfer_within_a_registry_as_promotion() -> None:
    found = in_dtr(copied(f"{APP}:1", f"{QA}:1-ok"), "transfer.completed")
    assert (found["type"], found["location"]) == ("PROMOTION", "/repositories/qa/app/tags/1-ok")
    assert found["contents"] == {
        "promotionPolicyID": "policy",
        "digest": digest("one"),
        "sourceRepository": "dev/app",
        "sourceTag": "1",
        "targetRepository": "qa/app",
        "targetTag": "1-ok",
        "promotedAt": at(60),
    }


def test_dtr_is_told_of_a_transfer_to_another_registry_as_push_mirroring_or_if_polled_poll_mirroring() -> None:
    event = copied("remote/app:1", "local/mirror/app:2")
    pushed_there = in_dtr(event, "transfer.completed")
    assert pushed_there["type"] == "PUSH_MIRRORING"
    contents = pushed_there["contents"]
    assert (contents["localRepository"], contents["remoteRepository"], contents["remoteTag"]) == (
        "app", "mirror/app", "2",
    )  # fmt: skip
    polled = in_dtr(
        event, "transfer.completed", published(policy("policy", "remote/app", "local/mirror/app", poll="1h"))
    )
    assert (polled["type"], polled["location"]) == ("POLL_MIRRORING", "/repositories/mirror/app/tags/2")
    contents = polled["contents"]
    assert (contents["localRepository"], contents["localTag"], contents["remoteRepository"]) == (
        "mirror/app",
        "2",
        "app",
    )


def test_a_set_in_dtr_format_that_no_check_saw_tells_only_what_there_is_a_type_for() -> None:
    told = Told(subscription("wants", "decision.ignore", "poll.failed", "image.pushed", format="dtr"))
    assert [body["type"] for body in told.bodies(PUSH, poll_failed(APP))] == ["TAG_PUSH"]


DENIED = published(policy("to-qa", APP, QA, rule("ends-with", "-stable")))


def test_a_text_has_its_fields_replaced_and_nothing_else() -> None:
    template = "{{{verdict}}} {policy}: {source} -> {target} by {actor}: {reason} ({mode}, {cause})\n*{tag}*"
    assert in_text(PUSH, "decision.deny", template, DENIED) == (
        "{deny} to-qa: local/dev/app:1 -> local/qa/app:1 by ci: tag ends-with -stable fails for 1 (enforce, -)\n*1*"
    )


@pytest.mark.parametrize(
    ("event", "name", "expected"),
    [
        (PUSH, "image.pushed", f"pushed {APP} 1 {digest('one')} ci {APP}:1"),
        (outcome(failed("c" * 64, command(f"{APP}:1", f"{QA}:2", "one").data)), "transfer.failed",
         f"failed {QA} 2 {digest('one')} - {APP}:1"),
        (poll_failed("local/dev/*"), "poll.failed", "failed local/dev/* - - - -"),
        (scanned(APP, "one", vulnerability("CVE-1")), "scan.completed",
         f"completed {APP} - {digest('one')} - {APP}@{digest('one')}"),
        (noticed(f"{APP}:1", succeeded=False), "scan.noticed", f"failed {APP} 1 - - {APP}:1"),
    ],
)  # fmt: skip
def test_each_kind_of_event_has_the_fields_that_it_knows(
    event: Envelope[Frozen], name: Notified, expected: str
) -> None:
    assert in_text(event, name, "{status} {repository} {tag} {digest} {actor} {source}") == expected


def test_every_field_is_replaced_in_every_event() -> None:
    template = " ".join(f"{{{name}}}" for name in FIELDS)
    for event, name in ((PUSH, "image.pushed"), (PUSH, "decision.ignore"), (scanned(APP, "one"), "scan.completed")):
        assert "{" not in in_text(event, name, template)


HOSTILE = "<!channel> & <https://evil.example|click>\r\n\x1b[31m\u202ered\x00"


def test_what_others_name_can_neither_mention_a_channel_nor_write_a_link_nor_control_anything() -> None:
    text = in_text(pushed(f"{APP}:1", "one", actor=HOSTILE), "image.pushed", "by {actor} <!here>")
    assert text == ("by &lt;!channel&gt; &amp; &lt;https://evil.example|click&gt; \ufffd[31m\ufffdred\ufffd <!here>"), (
        "what the template itself says stays as its author wrote it"
    )


def test_fields_in_what_others_name_are_not_replaced_again() -> None:
    assert in_text(pushed(f"{APP}:1", "one", actor="{tag}"), "image.pushed", "{actor} {{tag}}") == "{tag} {tag}"


def test_values_and_texts_are_cut_at_whole_pieces() -> None:
    actor = "&" * 256
    text = in_text(pushed(f"{APP}:1", "one", actor=actor), "image.pushed", "{actor}" * 500)
    assert text == "&amp;" * 256 * 6 + "\u2026"
    copy = command(f"{APP}:1", f"{QA}:1", "one")
    data = failed(copy.id, copy.data).model_copy(update={"detail": "y" * 2000})
    assert in_text(outcome(data), "transfer.failed", "{reason}") == "y" * 511 + "\u2026"


def test_a_template_that_no_check_saw_is_sent_with_what_is_no_field_as_it_is() -> None:
    assert in_text(PUSH, "image.pushed", "{colour} } { {} {0} {tag!r} {tag.x} {tag}") == (
        "{colour} } { {} {0} {tag!r} {tag.x} 1"
    )
