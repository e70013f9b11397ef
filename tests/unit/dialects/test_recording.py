"""Events derive from what was told, not from when or how often."""

from schemas.catalogue import decode, encode
from schemas.events import ImageDeleted, ImagePushed
from schemas.references import Repository
from tests.unit.dialects.deliveries import DIGEST
from towline.dialects.recording import record

REPOSITORY = Repository("local", "dev/website")
PUSHED = ImagePushed(repository=REPOSITORY, tag="1.0", digest=DIGEST)
NOW = "2026-11-24T08:00:00.000000Z"
LATER = "2026-11-24T08:00:05.000000Z"


def test_a_retry_has_the_same_id() -> None:
    assert record(PUSHED, "key", "towline/hooks/a", NOW).id == record(PUSHED, "key", "towline/hooks/a", LATER).id


def test_whatever_names_the_fact_changes_the_id() -> None:
    other = Repository("local", "dev/other")
    ids = {
        record(data, key, source, NOW).id
        for data, key, source in [
            (PUSHED, "key", "towline/hooks/a"),
            (PUSHED, "key", "towline/hooks/b"),
            (PUSHED, "other", "towline/hooks/a"),
            (PUSHED.model_copy(update={"tag": "1.1"}), "key", "towline/hooks/a"),
            (PUSHED.model_copy(update={"digest": f"sha256:{'0' * 64}"}), "key", "towline/hooks/a"),
            (PUSHED.model_copy(update={"repository": other}), "key", "towline/hooks/a"),
            (ImageDeleted(repository=REPOSITORY, tag="1.0", digest=DIGEST), "key", "towline/hooks/a"),
        ]
    }
    assert len(ids) == 7


def test_the_subject_names_the_reference_or_the_digest() -> None:
    assert record(PUSHED, "key", "s", NOW).subject == "local/dev/website:1.0"
    deleted = ImageDeleted(repository=REPOSITORY, digest=DIGEST)
    assert record(deleted, "key", "s", NOW).subject == f"local/dev/website@{DIGEST}"


def test_the_event_survives_the_wire() -> None:
    event = record(PUSHED, "key", "towline/hooks/a", NOW)
    assert decode(encode(event)) == event


def test_without_a_key_each_arrival_is_an_event_of_its_own() -> None:
    first, again, later = (record(PUSHED, None, "towline/hooks/a", now).id for now in (NOW, NOW, LATER))
    assert first == again
    assert first != later
