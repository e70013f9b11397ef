"""What is told about images becomes events in the log."""

from dataclasses import replace

import pytest

from schemas.catalogue import decode
from schemas.references import Reference, Repository
from streams import facts
from streams.facts import ImageName, Teller
from streams.local_registry import LocalRegistry
from streams.memory_log import MemoryLog
from streams.routing import home_partition
from streams.serving import serving
from streams.topics import EVENTS, partition_for, repository_key
from tests.support.builders import at, digest, policy, published, record_events
from tests.unit.facts.reports import changed, content
from towline import limits
from towline.errors import MisuseError, SettingsError, UnusableInputError
from towline.facts import read_report
from towline.registry import Registries, push_image
from towline.registry.errors import NotFoundError
from towline.settings import RegistrySettings

REPOSITORY = Repository.parse("local/dev/website")
SOURCE, TARGET = Reference.parse("local/dev/website:1.0"), Reference.parse("local/qa/website:1.0")
MANIFEST, INDEX, OTHER = digest("manifest"), digest("index"), digest("other")
ANN = Teller("ann", "towline/cli", at(0))
LATER = replace(ANN, now=at(60))
#: Nothing listens there; who only looks a name up does not ask.
CLOSED = {"local": RegistrySettings(url="http://127.0.0.1:1")}


def test_an_image_is_named_by_tag_or_by_digest() -> None:
    assert ImageName.parse("local/dev/website:1.0") == ImageName(REPOSITORY, "1.0", None)
    assert ImageName.parse(f"local/dev/website@{MANIFEST}") == ImageName(REPOSITORY, None, MANIFEST)


@pytest.mark.parametrize(
    "text", ["", "website", "local/dev/website", "local/dev/website@", "local/dev/website@sha256:12", f"@{MANIFEST}"]
)
def test_anything_else_names_no_image(text: str) -> None:
    with pytest.raises(MisuseError):
        ImageName.parse(text)


async def test_a_tag_means_what_its_registry_has_now() -> None:
    async with serving(LocalRegistry()) as url, Registries({"local": RegistrySettings(url=url)}) as registries:
        pushed = await push_image(registries("local"), "dev/website", "1.0", [b"layer"])
        image = ImageName.parse("local/dev/website:1.0")
        assert await facts.digest_of(image, registries) == pushed.digest
        unnamed = changed("trivy", lambda value: value["Metadata"].pop("RepoDigests"))
        assert await facts.scanned_digest(image, unnamed, registries) == pushed.digest
        with pytest.raises(NotFoundError):
            await facts.digest_of(ImageName.parse("local/dev/website:2.0"), registries)


async def test_what_the_report_names_comes_before_what_the_tag_has() -> None:
    async with Registries(CLOSED) as registries:
        image = ImageName.parse("local/dev/website:1.0")
        assert await facts.scanned_digest(image, read_report(content("grype")), registries) == MANIFEST


async def test_the_digest_that_is_given_comes_first() -> None:
    report = read_report(content("grype"))
    async with Registries(CLOSED) as registries:
        named, tagged = ImageName(REPOSITORY, None, OTHER), ImageName(REPOSITORY, "1.0", None)
        assert await facts.scanned_digest(named, report, registries) == OTHER
        assert await facts.scanned_digest(tagged, report, registries, OTHER) == OTHER
        assert await facts.scanned_digest(named, report, registries, OTHER) == OTHER
        with pytest.raises(MisuseError, match="two digests are given"):
            await facts.scanned_digest(named, report, registries, MANIFEST)
        with pytest.raises(UnusableInputError, match="digest"):
            await facts.scanned_digest(tagged, report, registries, "latest")


async def test_a_report_that_names_several_digests_needs_one_to_be_given() -> None:
    other = f"local/elsewhere@{OTHER}"
    report = changed("trivy", lambda value: value["Metadata"]["RepoDigests"].append(other))
    async with Registries(CLOSED) as registries:
        image = ImageName.parse("local/dev/website:1.0")
        with pytest.raises(MisuseError, match="names 2 digests"):
            await facts.scanned_digest(image, report, registries)
        assert await facts.scanned_digest(image, report, registries, OTHER) == OTHER


async def test_an_image_of_an_unknown_registry_is_refused_even_when_nothing_is_to_be_asked() -> None:
    async with Registries({}) as registries:
        with pytest.raises(SettingsError, match="'local' is not in the settings"):
            await facts.digest_of(ImageName(REPOSITORY, None, MANIFEST), registries)


def test_a_report_that_is_submitted_twice_is_one_event() -> None:
    report = read_report(content("trivy"))
    first = facts.submission(report, REPOSITORY, INDEX, ANN)
    again = facts.submission(report, REPOSITORY, INDEX, LATER)
    assert (again.id, again.data, again.time) == (first.id, first.data, at(60))
    assert (first.subject, first.source) == (f"{REPOSITORY}@{INDEX}", "towline/cli")
    elsewhere = facts.submission(report, TARGET.repository, INDEX, ANN)
    newer = facts.submission(changed("trivy", lambda value: value.update(CreatedAt=None)), REPOSITORY, INDEX, ANN)
    assert len({first.id, elsewhere.id, newer.id}) == 3


def test_an_approval_may_expire() -> None:
    event = facts.approval(REPOSITORY, MANIFEST, "to-qa", ANN, comment="tested", expires="1m")
    assert (event.data.actor, event.data.policy, event.data.comment) == ("ann", "to-qa", "tested")
    assert event.data.expires_at == at(60)
    assert facts.approval(REPOSITORY, MANIFEST, "to-qa", ANN).data.expires_at is None


@pytest.mark.parametrize("span", ["", "soon", "7", "-7d", "7d ", "9999w", "7y"])
def test_what_is_no_span_of_time_is_refused(span: str) -> None:
    with pytest.raises(UnusableInputError, match="expires: "):
        facts.approval(REPOSITORY, MANIFEST, "to-qa", ANN, expires=span)


def test_what_somebody_does_again_is_another_event() -> None:
    first = facts.approval(REPOSITORY, MANIFEST, "to-qa", ANN)
    assert facts.approval(REPOSITORY, MANIFEST, "to-qa", ANN).id == first.id
    assert facts.approval(REPOSITORY, MANIFEST, "to-qa", LATER).id != first.id
    assert facts.approval(REPOSITORY, MANIFEST, "to-qa", replace(ANN, actor="bob")).id != first.id


def test_somebody_else_can_take_an_approval_back() -> None:
    event = facts.approval_revocation(REPOSITORY, MANIFEST, "to-qa", "ann", replace(ANN, actor="bob"), comment="no")
    assert (event.data.approver, event.data.actor, event.data.comment) == ("ann", "bob", "no")


def test_an_override_is_for_one_image_or_for_the_whole_repository() -> None:
    one = facts.override(REPOSITORY, MANIFEST, "CVE-2024-3094", ANN, reason="not reachable", component="xz")
    every = facts.override(REPOSITORY, None, "CVE-2024-3094", ANN, reason="not reachable", expires="1m")
    assert (one.subject, one.data.component, one.data.expires_at) == (f"{REPOSITORY}@{MANIFEST}", "xz", None)
    assert (every.subject, every.data.component, every.data.expires_at) == (str(REPOSITORY), None, at(60))
    revoked = facts.override_revocation(REPOSITORY, None, "CVE-2024-3094", ANN, component="xz")
    assert (revoked.data.digest, revoked.data.component) == (None, "xz")


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_override_needs_a_reason(reason: str) -> None:
    with pytest.raises(UnusableInputError, match="needs a reason"):
        facts.override(REPOSITORY, MANIFEST, "CVE-2024-3094", ANN, reason=reason)


def test_a_promotion_by_hand_names_both_ends_and_who_wants_it() -> None:
    event = facts.promotion_request(SOURCE, MANIFEST, TARGET, ANN, comment="hot fix")
    assert event.subject == str(SOURCE)
    assert (event.data.repository, event.data.tag, event.data.digest) == (REPOSITORY, "1.0", MANIFEST)
    assert (event.data.target, event.data.actor, event.data.comment) == (TARGET, "ann", "hot fix")
    with pytest.raises(MisuseError, match="are both"):
        facts.promotion_request(SOURCE, MANIFEST, SOURCE, ANN)


@pytest.mark.parametrize(
    "event",
    [
        facts.submission(read_report(content("trivy")), REPOSITORY, INDEX, ANN),
        facts.submission(read_report(content("spdx")), REPOSITORY, MANIFEST, ANN),
        facts.approval(REPOSITORY, MANIFEST, "to-qa", ANN),
        facts.approval_revocation(REPOSITORY, MANIFEST, "to-qa", "ann", ANN),
        facts.override(REPOSITORY, None, "CVE-2024-3094", ANN, reason="not reachable"),
        facts.override_revocation(REPOSITORY, None, "CVE-2024-3094", ANN),
        facts.promotion_request(SOURCE, MANIFEST, TARGET, ANN),
    ],
    ids=lambda event: type(event.data).__name__,
)
async def test_an_event_is_recorded_where_its_repository_is_judged(event: facts.Envelope[facts.Frozen]) -> None:
    async with MemoryLog() as log:
        position = await facts.record(log, event)
        assert position == (EVENTS, partition_for(repository_key(REPOSITORY), 12), 0)
        assert position.partition == home_partition(event, 12)
        (stored,) = [item async for item in log.read(EVENTS, position.partition, 0, 1)]
    assert decode(stored.value or b"") == event


async def test_what_the_log_cannot_take_is_the_senders_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "submission_bytes", 500)
    async with MemoryLog() as log:
        with pytest.raises(UnusableInputError, match="the log takes 500: submit a report with fewer packages"):
            await facts.record(log, facts.submission(read_report(content("trivy")), REPOSITORY, INDEX, ANN))
        assert await log.high_watermark(EVENTS, partition_for(repository_key(REPOSITORY), 12)) == 0


async def test_a_policy_that_is_not_in_force_cannot_be_approved_for() -> None:
    async with MemoryLog() as log:
        with pytest.raises(MisuseError, match="no policy 'to-qa' in revision 0; there are: none"):
            await facts.require_policy(log, "to-qa")
        await record_events(log, published(policy("to-qa", str(REPOSITORY), "local/qa/website")), partitions=12)
        await facts.require_policy(log, "to-qa")
        with pytest.raises(MisuseError, match="there are: to-qa"):
            await facts.require_policy(log, "to-prod")
