"""What the audit trail and explain say of what reconciliation found, and of what was removed."""

from schemas.commands import CopyImage, RemoveTag
from schemas.envelope import Envelope
from schemas.events import RemovalFailed, RemovalSkipped, TagRemoved, TransferProgressed, TransferStarted
from schemas.references import Frozen, Reference
from streams.audit.explain import Explanation, explain
from streams.audit.trail import trail
from tests.support.builders import at, completed, deleted, digest, envelope, outcome, policy, published, pushed
from tests.support.facts import listed, observed, poll_completed
from tests.support.projections import asked
from tests.support.world import World
from towline.policy.contents import EMPTY, contents_of
from towline.policy.decide import MISSED

DEV, QA = Reference.parse("first/dev/app:1"), Reference.parse("first/qa/app:1")
POLICIES = published(policy("to-qa", "first/dev/app", "first/qa/app", deletions="100%"))


class System(World):
    """A log with its evaluator, whose copies and removals end as the test wants."""

    async def said(self, reference: Reference = DEV) -> Explanation:
        return await asked(self.log, explain, reference)

    async def lines(self, reference: Reference = DEV) -> list[tuple[str, str]]:
        return [(entry.type, entry.text) for entry in await asked(self.log, trail, reference)]

    async def removal(self) -> Envelope[RemoveTag]:
        (found,) = [command for command in await self.commands() if isinstance(command.data, RemoveTag)]
        return found  # type: ignore[return-value]

    async def report(self, model: type[Frozen], seconds: int, **more: object) -> None:
        command = await self.removal()
        data = model(**command.data.outcome_members(command.id), **more)
        await self.record(envelope(data, subject=str(QA), key=f"{model.__name__} {seconds}", time=at(seconds)))


def ended(contents: str, seconds: int) -> Envelope[Frozen]:
    return poll_completed("first/dev/app", contents=contents, key=str(seconds), time=at(seconds))


async def gone_and_settled() -> System:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one"))
    for command in await system.commands():
        if isinstance(command.data, CopyImage):
            await system.record(outcome(completed(command.id, command.data)))
    await system.record(listed("first/dev/app", time=at(90)), ended(EMPTY, 120))
    return system


async def test_what_reconciliation_found_is_said_in_decision_trail_and_explanation() -> None:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one"), ended(contents_of({"1": digest("one")}), 60))
    await system.record(observed(str(DEV), "two", cause="reconciliation", time=at(90)))
    found = await system.said()
    assert found.came_by == f"found by a poll at {at(90)}, {MISSED}"
    assert [policy.reason for policy in found.policies] == [f"the policy has no rules; {MISSED}"]
    lines = await system.lines()
    assert ("image.observed", f"{DEV} -> {digest('two')} seen by reconciliation") in lines
    assert any(type_ == "decision.made" and text.endswith(MISSED) for type_, text in lines)


async def test_what_an_ordinary_poll_found_is_not_said_to_be_lost() -> None:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one"), observed(str(DEV), "two", time=at(90)))
    assert (await system.said()).came_by == f"found by a poll at {at(90)}"
    assert ("image.observed", f"{DEV} -> {digest('two')} seen by a poll") in await system.lines()


async def test_a_tag_that_is_not_listed_any_more_says_so_and_what_became_of_its_target() -> None:
    system = await gone_and_settled()
    found = await system.said()
    assert (found.digest, found.came_by) == (None, f"not listed any more at {at(90)}")
    (settled,) = found.policies
    assert (settled.verdict, settled.target, settled.outcome) == ("remove", str(QA), "pending")
    lines = await system.lines()
    assert ("tags.listed", "first/dev/app does not list it any more, found by reconciliation") in lines
    assert ("tag.remove", f"remove {QA} if it has {digest('one')}") in lines


async def test_a_listing_is_told_only_where_it_took_the_tag_away() -> None:
    system = System()
    dev = "first/dev/app"
    await system.record(
        listed(dev, time=at(1)),
        pushed(str(DEV), "one", time=at(60)),
        listed(dev, time=at(59), key="older"),
        listed(dev, "1", time=at(61)),
        listed(dev, after="1", time=at(62)),
        listed(dev, until="0", time=at(63)),
        listed(dev, time=at(64), key="it"),
        listed(dev, time=at(65), key="again"),
        deleted(str(DEV), time=at(66)),
        listed(dev, time=at(67), key="late"),
    )
    entries = [entry for entry in await asked(system.log, trail, DEV) if entry.type == "tags.listed"]
    assert [entry.time for entry in entries] == [at(64)]


async def test_how_a_removal_ended_is_told_at_both_ends() -> None:
    system = await gone_and_settled()
    await system.report(TagRemoved, 150, previous_digest=digest("one"))
    (settled,) = (await system.said()).policies
    assert settled.outcome == "removed"
    assert ("tag.removed", f"{QA} removed, it had {digest('one')}") in await system.lines()
    target = await system.said(QA)
    assert (target.digest, target.policies) == (None, ())
    assert target.came_by == f"removed by policy to-qa at {at(150)}, as {DEV} vanished"


async def test_why_a_target_was_left_is_told() -> None:
    system = await gone_and_settled()
    await system.report(RemovalSkipped, 150, reason="it is gone already")
    (settled,) = (await system.said()).policies
    assert (settled.outcome, settled.outcome_detail) == ("skipped", "it is gone already")
    assert ("removal.skipped", f"{QA} not removed: it is gone already") in await system.lines()
    system = await gone_and_settled()
    await system.report(RemovalFailed, 150, cause="denied", detail="no right", retryable=False, attempts=1)
    (settled,) = (await system.said()).policies
    assert (settled.outcome, settled.outcome_detail) == ("failed", "denied: no right")
    assert ("removal.failed", f"{QA} not removed: denied: no right") in await system.lines()


async def test_that_a_copy_began_is_told_and_each_step_of_it_is_not() -> None:
    system = await gone_and_settled()
    await system.report(TransferStarted, 150, manifests=1, blobs=2)
    counts = {"bytes_copied": 1, "blobs_copied": 0, "blobs_mounted": 0, "blobs_skipped": 0}
    await system.report(TransferProgressed, 151, **counts)
    told = [text for type_, text in await system.lines() if type_.startswith("transfer.")]
    assert f"copying to {QA}: 1 manifests, 2 blobs" in told
    assert len(told) == 2, "the beginning, and the copy of before"
