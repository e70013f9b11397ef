"""The audit trail and explain, over a log in memory: why a tag did or did not move, and where it came from."""

from schemas.catalogue import decode
from schemas.commands import CopyImage
from schemas.descriptors import OCI_MANIFEST
from schemas.references import Reference
from streams.audit.explain import Explanation, explain
from streams.audit.trail import trail
from streams.log import Append
from streams.topics import COMMANDS, DECISIONS
from tests.support.builders import (
    at,
    completed,
    deleted,
    digest,
    failed,
    outcome,
    policy,
    published,
    pushed,
    reduced,
    rule,
    rule_on,
)
from tests.support.checkers import all_records
from tests.support.facts import overridden, scanned, vulnerability
from tests.support.projections import asked
from tests.support.world import World

DEV, QA = Reference.parse("first/dev/app:1-stable"), Reference.parse("first/qa/app:1-stable")
POLICIES = published(
    policy("to-qa", "first/dev/app", "first/qa/app", rule("ends-with", "-stable")),
    policy("to-second", "first/qa/app", "second/app"),
)


class System(World):
    """A log with its evaluator, whose copies end as the test wants, and what ``explain`` says of it."""

    async def carry_out(self, *, failing: bool = False, time: str | None = None) -> None:
        """End each command; to end one again changes nothing."""
        for command in await self.commands():
            if not isinstance(command.data, CopyImage):
                continue
            end = failed if failing else completed
            await self.record(outcome(end(command.id, command.data), time=time))

    async def explain(self, reference: Reference) -> Explanation:
        return await asked(self.log, explain, reference)


async def test_a_push_is_explained_with_its_rules_and_where_it_went() -> None:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one"))
    pending = await system.explain(DEV)
    assert [policy.outcome for policy in pending.policies] == ["pending"]
    await system.carry_out()
    done = await system.explain(DEV)
    (found,) = done.policies
    assert (done.digest, found.verdict, found.target, found.outcome) == (digest("one"), "promote", str(QA), "completed")
    assert [rule.result for rule in found.rules] == ["holds"]
    assert done.came_by.startswith("pushed by ci at ")


async def test_a_target_with_some_platforms_of_the_index_is_explained_with_both_digests() -> None:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one"))
    await system.end(str(QA), reduced)
    left = digest(f"some of {digest('one')}")
    told = f"the index of the wanted platforms only: what signs or describes the whole {digest('one')} stayed behind"
    (found,) = (await system.explain(DEV)).policies
    assert (found.outcome, found.outcome_detail) == ("completed", f"{left}, {told}")
    there = await system.explain(QA)
    assert there.digest == left
    assert there.came_by.endswith(told)
    assert [policy.policy for policy in there.policies] == ["to-second"], "the chain goes on with what is there"
    assert [item.data.digest for item in (await system.copies()).values()] == [digest("one"), left]
    (line,) = [entry.text for entry in await asked(system.log, trail, QA) if entry.type == "transfer.completed"]
    assert line.startswith(f"{QA} -> {left} (")
    assert line.endswith(told)
    # The registry's own webhook tells the same digest, and moves nothing.
    await system.record(pushed(str(QA), f"some of {digest('one')}"))
    assert len(await system.commands()) == 2


async def test_a_tag_that_came_by_a_policy_says_from_where() -> None:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one"))
    await system.carry_out()
    found = await system.explain(QA)
    assert found.came_by.startswith(f"by policy to-qa from {DEV}")
    assert [policy.policy for policy in found.policies] == ["to-second"]
    # The registry's own webhook comes later and is ignored; it explains nothing.
    await system.record(pushed(str(QA), "one"))
    assert [policy.policy for policy in (await system.explain(QA)).policies] == ["to-second"]


async def test_a_denial_is_explained_by_the_rule_that_failed() -> None:
    system = System()
    nightly = Reference.parse("first/dev/app:nightly")
    await system.record(POLICIES, pushed(str(nightly), "one"))
    (found,) = (await system.explain(nightly)).policies
    assert (found.verdict, found.outcome) == ("deny", None)
    assert [rule.result for rule in found.rules] == ["fails"]


async def test_a_push_without_a_policy_is_explained_too() -> None:
    system = System()
    await system.record(pushed("first/other:1", "one"))
    (found,) = (await system.explain(Reference.parse("first/other:1"))).policies
    assert (found.policy, found.verdict) == (None, "ignore")


async def test_a_transfer_that_failed_is_told_with_its_cause() -> None:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one"))
    await system.carry_out(failing=True)
    (found,) = (await system.explain(DEV)).policies
    assert (found.outcome, found.outcome_detail) == ("failed", "source-gone: no such manifest")
    nothing = await asked(system.log, explain, QA)
    assert (nothing.is_known, nothing.digest) == (False, None)
    assert nothing.notes[0] == f"to-qa was to bring {digest('one')} from {DEV}: failed, source-gone: no such manifest"


async def test_what_the_log_does_not_know_and_what_was_deleted_is_said() -> None:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one"), deleted(str(DEV)))
    found = await system.explain(DEV)
    assert (found.digest, found.policies) == (None, ())
    assert found.came_by.startswith("deleted at ")
    assert not (await asked(system.log, explain, Reference.parse("first/never:1"))).is_known


async def test_a_digest_that_came_back_is_explained_by_how_it_was_judged_now_and_not_back_then() -> None:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one"))
    await system.carry_out()
    await system.record(
        pushed(str(DEV), "two"), published(revision=2), pushed(str(DEV), "one", key="back", time=at(90))
    )
    found = await system.explain(DEV)
    assert found.came_by == f"pushed by ci at {at(90)}"
    assert [(policy.verdict, policy.revision) for policy in found.policies] == [("ignore", 2)]


async def test_what_is_told_once_more_is_explained_by_its_last_verdict() -> None:
    system = System()
    again = (pushed(str(DEV), "one", key=f"again {n}") for n in range(3))
    await system.record(POLICIES, pushed(str(DEV), "one"), next(again))
    assert [policy.verdict for policy in (await system.explain(DEV)).policies] == ["promote"]
    stricter = policy("to-qa", "first/dev/app", "first/qa/app", rule("ends-with", "-lts"))
    await system.record(published(stricter, revision=2), next(again), next(again))
    assert [(policy.verdict, policy.revision) for policy in (await system.explain(DEV)).policies] == [("deny", 2)]


async def test_the_trail_has_causes_before_effects_whatever_the_clocks_of_the_hosts_say() -> None:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one", time=at(10)))
    await system.carry_out(time=at(5))
    kinds = [entry.type for entry in await asked(system.log, trail, DEV, QA)]
    chain = ["decision.made", "image.copy"]
    assert kinds == ["image.pushed", *chain, "transfer.completed", *chain]


async def test_the_story_of_another_tag_of_the_repository_is_another_story() -> None:
    system = System()
    other = Reference.parse("first/dev/app:2-stable")
    await system.record(POLICIES, pushed(str(other), "one"))
    await system.carry_out(failing=True)
    await system.record(pushed(str(DEV), "one"))
    assert [policy.outcome for policy in (await system.explain(DEV)).policies] == ["pending"]
    assert [policy.outcome for policy in (await system.explain(other)).policies] == ["failed"]
    kinds = [entry.type for entry in await asked(system.log, trail, DEV)]
    assert kinds == ["image.pushed", "decision.made", "image.copy"]
    assert all("2-stable" not in entry.text for entry in await asked(system.log, trail, DEV))


async def test_each_policy_is_explained_with_the_outcome_of_its_own_transfer() -> None:
    system = System()
    targets = {"a": "first/a", "b": "first/b", "c": "second/c"}
    policies = [policy(name, "first/dev/app", target) for name, target in targets.items()]
    await system.record(published(*policies), pushed(str(DEV), "one"))
    copies = [decode(record.value or b"") for record in await all_records(system.log, COMMANDS)]
    ends = {"first/a:1-stable": failed, "second/c:1-stable": completed}
    for copy in copies:
        if copy.subject in ends:
            await system.record(outcome(ends[copy.subject](copy.id, copy.data)))  # type: ignore[operator]
    explained = {policy.policy: policy.outcome for policy in (await system.explain(DEV)).policies}
    assert explained == {"a": "failed", "b": "pending", "c": "completed"}


async def test_the_trail_of_several_tags_is_one_story_in_the_order_of_time() -> None:
    system = System()
    other = Reference.parse("first/other:1")
    await system.record(
        pushed(str(DEV), "one", time=at(1)), pushed(str(other), "one", time=at(2)), deleted(str(DEV), time=at(3))
    )
    for references in ((DEV, other), (other, DEV)):
        entries = await asked(system.log, trail, *references)
        assert [entry.type for entry in entries if entry.caused_by is None] == [
            "image.pushed",
            "image.pushed",
            "image.deleted",
        ]
        assert [entry.time for entry in entries] == [at(1), at(1), at(2), at(2), at(3)]


async def test_what_a_crash_wrote_twice_is_explained_once() -> None:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one"))
    for topic in (DECISIONS, COMMANDS):
        for record in await all_records(system.log, topic):
            await system.log.append(Append(topic, record.key, record.value or b"", record.partition))
    assert [policy.policy for policy in (await system.explain(DEV)).policies] == ["to-qa"]


async def test_the_trail_has_each_record_once_and_each_effect_after_its_cause() -> None:
    system = System()
    await system.record(POLICIES, pushed(str(DEV), "one"))
    await system.carry_out()
    for record in await all_records(system.log, COMMANDS):
        # A crash repeats a command.
        await system.log.append(Append(COMMANDS, record.key, record.value or b""))
    entries = await asked(system.log, trail, DEV, QA)
    kinds = [entry.type for entry in entries]
    assert kinds.count("image.copy") == 2
    assert kinds[:4] == ["image.pushed", "decision.made", "image.copy", "transfer.completed"]
    ids = [entry.id for entry in entries]
    assert len(ids) == len(set(ids))
    for entry in entries:
        assert entry.caused_by is None or entry.caused_by in ids[: ids.index(entry.id)]


NEEDS_SCAN = published(
    policy("to-qa", "first/dev/app", "first/qa/app", rule_on("vulnerability_critical", "<=", "0")),
    policy("try-out", "first/dev/app", "first/other/app", mode="shadow"),
)


async def test_a_verdict_that_a_later_fact_changed_is_explained_with_the_fact_that_changed_it() -> None:
    system = System()
    await system.record(NEEDS_SCAN, pushed(str(DEV), "one", media_type=OCI_MANIFEST))
    held = await system.explain(DEV)
    assert [(item.policy, item.verdict) for item in held.policies] == [("to-qa", "hold"), ("try-out", "promote")]
    assert held.policies[0].rules[0].detail == "a scan"
    scan = scanned(str(DEV.repository), "one", vulnerability("CVE-1"))
    await system.record(scan)
    denied = (await system.explain(DEV)).policies[0]
    assert (denied.verdict, denied.event_id, denied.rules[0].events) == ("deny", scan.id, (scan.id,))
    override = overridden(str(DEV.repository), "CVE-1", image="one")
    await system.record(override)
    await system.carry_out()
    promoted = (await system.explain(DEV)).policies[0]
    assert (promoted.verdict, promoted.outcome, promoted.event_id) == ("promote", "completed", override.id)
    assert promoted.rules[0].events == tuple(sorted((scan.id, override.id)))


async def test_what_a_shadow_policy_would_do_has_no_outcome() -> None:
    system = System()
    await system.record(NEEDS_SCAN, pushed(str(DEV), "one"))
    shadow = (await system.explain(DEV)).policies[1]
    assert (shadow.mode, shadow.verdict, shadow.outcome) == ("shadow", "promote", None)


async def test_the_trail_tells_the_facts_about_the_digest_and_who_told_them() -> None:
    system = System()
    await system.record(
        NEEDS_SCAN,
        pushed(str(DEV), "one", media_type=OCI_MANIFEST),
        scanned(str(DEV.repository), "one", vulnerability("CVE-1")),
        scanned(str(DEV.repository), "another", vulnerability("CVE-2")),
        overridden(str(DEV.repository), "CVE-1", image="one"),
    )
    entries = await asked(system.log, trail, DEV)
    facts = [entry for entry in entries if entry.type in {"scan.completed", "vulnerability.overridden"}]
    assert [entry.type for entry in facts] == ["scan.completed", "vulnerability.overridden"]
    assert "found 1 vulnerability in" in facts[0].text
    assert "CVE-1 does not count" in facts[1].text
    decided = [entry.caused_by for entry in entries if entry.type == "decision.made"]
    assert {fact.id for fact in facts} <= set(decided)
