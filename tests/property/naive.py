"""What should come out, written as plain loops: the whole history is kept, and each verdict found from its beginning.

No timers, no index, no lists of what waits: with each event every tag is looked at for every policy.
"""

from dataclasses import dataclass, field
from typing import Any

from schemas.envelope import Envelope
from schemas.events import (
    ClockTicked,
    ImageHinted,
    ImageObserved,
    PolicyPublished,
    PollCompleted,
    PromotionRequested,
)
from schemas.facts import (
    ApprovalGranted,
    ApprovalRevoked,
    ImageInspected,
    InspectionFailed,
    OverrideRevoked,
    ScanCompleted,
    SignatureVerified,
    VulnerabilityOverridden,
)
from schemas.instants import parse_instant
from schemas.policies import Policy
from schemas.references import Frozen
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackRequested
from tests.property.past import Past, Tag, arrival_in, is_old, target_of
from tests.property.rolled_back import RolledBack

#: The source tag, the policy, the verdict and the target, as far as there are any.
Verdict = tuple[str, str | None, str, str | None]
ACTS = ("promote", "mirror")
LOOKS_AT = {
    "vulnerability_all": {"scan", "override", "inspection"},
    "size": {"inspection"},
    "approved": {"approval"},
    "signed-by": {"signature"},
}
KINDS: dict[type[Frozen], str] = {
    ImageInspected: "inspection",
    InspectionFailed: "inspection",
    ScanCompleted: "scan",
    SignatureVerified: "signature",
    VulnerabilityOverridden: "override",
    OverrideRevoked: "override",
    ApprovalGranted: "approval",
    ApprovalRevoked: "approval",
}


@dataclass
class Naive(Past):
    """The model. ``take`` returns what must be decided, and what may be decided beside it."""

    #: Everything decided so far: the number of its event, and the verdict.
    made: list[tuple[int, Verdict]] = field(default_factory=list)
    #: What policies that share a target wanted there: revision, target, policy, digest.
    wanted: list[tuple[int, str, str, str]] = field(default_factory=list)

    def take(self, event: Envelope[Frozen]) -> tuple[set[Verdict], set[Verdict]]:
        data, arrival = event.data, arrival_in(event)
        known = Tag() if arrival is None else self.tag(arrival[0])
        revision_before, policies_before, clock_before = self.revision(), self.policies(), self.clock()
        self.history.append(event)
        judged: list[tuple[str, Policy]] = []
        if isinstance(data, PromotionRequested | RollbackRequested | RollbackApproved):
            return self.note(self.asked(data)), set()
        if arrival is not None:
            name, digest = arrival
            if is_old(event, digest, known):
                return set(), set()
            chosen = self.matching(name)
            is_found = isinstance(data, ImageObserved) and data.cause != "hint"
            if is_found and not known.is_known and not self.was_polled(name):
                chosen = [policy for policy in chosen if policy.initial_evaluation]
            if not chosen or (known.digest == digest and known.revision == revision_before):
                return self.note({(name, None, "ignore", None)}), set()
            judged = [(name, policy) for policy in chosen]
        if isinstance(data, PolicyPublished) and data.revision > revision_before:
            new = [policy for policy in self.policies() if policy not in policies_before and policy.initial_evaluation]
            judged = [(name, policy) for name in self.names() for policy in self.matching(name) if policy in new]
        if type(data) in KINDS:
            judged = [pair for pair in self.waiting({"hold", "deny"}) if self.concerns(event, *pair)]
        if isinstance(data, PollCompleted) and data.contents == self.contents(str(data.repository)):
            return self.note(self.removals(str(data.repository))), set()
        if isinstance(data, ClockTicked) and data.now > clock_before:
            return self.tick(event)
        return self.note(self.settle(event, judged)), set()

    def asked(self, data: PromotionRequested | RollbackRequested | RollbackApproved) -> set[Verdict]:
        """Return what people decide."""
        target = str(data.target)
        if isinstance(data, PromotionRequested):
            acts = "promote" if data.target.repository.registry == data.repository.registry else "mirror"
            return {(f"{data.repository}:{data.tag}", "(manual)", acts, target)}
        verdict = RolledBack.of(self.history).verdict
        return set() if verdict is None else {(target, "(rollback)", verdict, target)}

    def tick(self, event: Envelope[Frozen]) -> tuple[set[Verdict], set[Verdict]]:
        """What time makes act must be decided now; what time makes fail may be told later."""
        judged = [pair for pair in self.waiting({"hold"}) if self.waits_for_time(*pair)]
        verdicts = {pair: self.judge(event, *pair) for pair in judged}
        acting = [pair for pair in judged if verdicts[pair][2] in ACTS]
        others = {verdict for pair, verdict in verdicts.items() if pair not in acting}
        return self.note(self.settle(event, acting)), others

    def note(self, verdicts: set[Verdict]) -> set[Verdict]:
        self.made += [(len(self.history), verdict) for verdict in verdicts]
        return verdicts

    def looked_at(self, event: Envelope[Frozen]) -> list[str]:
        """Return the repository that is to be looked at because of an event, if any is."""
        data = event.data
        is_source = isinstance(data, ImageHinted) and self.matching(f"{data.repository}:{data.tag}")
        return [str(data.repository)] if is_source else []

    # -- What vanished

    def removals(self, repository: str) -> set[Verdict]:
        """Return what becomes of the targets of all that policies brought from a repository and that vanished."""
        found: set[Verdict] = set()
        for policy in self.policies():
            if policy.deletions == "never":
                continue
            brought = self.brought(policy.name, repository)
            gone = [name for name in brought if self.tag(name).digest is None]
            is_too_much = len(gone) * 100 > int(policy.deletions[:-1]) * len(brought)
            for name in gone:
                if policy.mode == "enforce" and not is_too_much:
                    found.add((name, policy.name, "remove", brought[name]))
                elif not self.was_settled(policy.name, name):
                    found.add((name, policy.name, "deny" if is_too_much else "remove", brought[name]))
        return found if any(self.matching(f"{repository}:1")) else set()

    def brought(self, policy: str, repository: str) -> dict[str, str]:
        """Return where a policy brought each tag last while it followed deletions, but for what it removed again."""
        found: dict[str, str] = {}
        for number, (name, by, verdict, target) in self.made:
            then = [other for other in Naive(self.history[:number]).policies() if other.name == by]
            if by != policy or name.rpartition(":")[0] != repository or then[0].mode != "enforce":
                continue
            if verdict in ACTS and then[0].deletions != "never":
                found[name] = str(target)
            if verdict == "remove":
                del found[name]
        return found

    def was_settled(self, policy: str, name: str) -> bool:
        """Tell whether it was decided already, since the tag is gone, that its target stays for now."""
        return any(
            verdict[:2] == (name, policy) and Naive(self.history[:number]).tag(name).digest is None
            for number, verdict in self.made
            if number >= self.moved_at(name)
        )

    # -- What is to be judged

    def waiting(self, verdicts: set[str]) -> list[tuple[str, Policy]]:
        """Return every tag and policy whose last verdict on what the tag has can still change."""
        return [
            (name, policy)
            for name in self.names()
            for policy in self.matching(name)
            if self.last_verdict(name, policy) in verdicts
        ]

    def last_verdict(self, name: str, policy: Policy) -> str | None:
        """Return the last verdict since the tag has its digest, unless it was final."""
        found = None
        moved = self.moved_at(name)
        for number, verdict in self.made:
            if number < moved or verdict[0] != name:
                continue
            then = Naive(self.history[:number])
            judge = next((other for other in then.matching(name) if other.name == policy.name), None)
            if judge is None:
                found = None  # The tag was decided while the policy was not there.
            elif verdict[1] == policy.name:
                is_final = verdict[2] == "deny" and not looks_at(judge)
                found = None if is_final else verdict[2]
        return found

    def waits_for_time(self, name: str, policy: Policy) -> bool:
        """Tell whether with the last verdict no fact was missing."""
        number = [number for number, verdict in self.made if verdict[:2] == (name, policy.name)][-1]
        then = Naive(self.history[:number])
        judge = next(other for other in then.matching(name) if other.name == policy.name)
        rules = [rule for rule in judge.rules if then.result(self.history[number - 1], name, judge, rule) == "waits"]
        return all(rule.field in {"soak", "window"} for rule in rules)

    def concerns(self, event: Envelope[Frozen], name: str, policy: Policy) -> bool:
        data: Any = event.data
        if KINDS[type(data)] not in looks_at(policy) or str(data.repository) != name.rpartition(":")[0]:
            return False
        if isinstance(data, ApprovalGranted | ApprovalRevoked) and data.policy != policy.name:
            return False
        digest = self.tag(name).digest
        return data.digest is None or data.digest == digest or data.digest in self.parts(name, str(digest))

    # -- Verdicts

    def judge(self, event: Envelope[Frozen], name: str, policy: Policy) -> Verdict:
        target = target_of(policy, name)
        images = self.images(name, policy)
        results = [self.result(event, name, policy, rule) for rule in policy.rules]
        if (policy.platforms and images == []) or self.is_barred(name, str(target)) or "fails" in results:
            return name, policy.name, "deny", target
        if "waits" in results:
            return name, policy.name, "hold", target
        acts = "promote" if str(target).startswith(f"{policy.source.registry}/") else "mirror"
        return name, policy.name, acts, target

    def is_barred(self, name: str, target: str) -> bool:
        if not any(isinstance(event.data, DigestBarred | RollbackApproved) for event in self.history):
            return False
        source, place = name.rpartition(":")[0], target.rpartition(":")[0]
        return RolledBack.of(self.history).bars_policies(source, place, str(self.tag(name).digest), self.revision())

    def result(self, event: Envelope[Frozen], name: str, policy: Policy, rule: Any) -> str:
        now, digest = event.time, self.tag(name).digest
        first = self.arrivals(name)[0].time
        if rule.field == "tag":
            tag = name.rpartition(":")[2]
            fits = tag.endswith(rule.values) if rule.operator == "ends-with" else tag not in rule.values
            return "holds" if fits else "fails"
        if rule.field == "soak":
            return "holds" if hours(first, now) >= int(rule.values[0][:-1]) else "waits"
        if rule.field == "updated_at_duration":
            return "holds" if hours(self.tag(name).updated_at, now) < int(rule.values[0][:-1]) else "fails"
        if rule.field == "window":
            return "holds" if parse_instant(now).hour == 9 else "waits"
        if rule.field == "signed-by":
            signed = {fact.key for fact in self.told(name, SignatureVerified) if fact.digest == digest}
            return "holds" if signed & set(rule.values) else "waits"
        if rule.field == "approved":
            return "holds" if self.approvers(name, policy, now) else "waits"
        if rule.field == "size":
            images = self.images(name, policy)
            return "waits" if images is None else "holds" if sum(image.size for image in images) < 2000 else "fails"
        count = self.vulnerabilities(name, policy, now)
        return "waits" if count is None else "holds" if count == 0 else "fails"

    def approvers(self, name: str, policy: Policy, now: str) -> set[str]:
        pushers = {
            getattr(event.data, "actor", getattr(event.data, "pushed_by", None)) for event in self.arrivals(name)
        }
        found: set[str] = set()
        for fact in self.told(name, ApprovalGranted, ApprovalRevoked):
            if fact.digest != self.tag(name).digest or fact.policy != policy.name:
                continue
            found.discard(fact.approver if isinstance(fact, ApprovalRevoked) else fact.actor)
            if isinstance(fact, ApprovalGranted) and (fact.expires_at is None or fact.expires_at > now):
                found.add(fact.actor)
        return found - pushers

    def settle(self, event: Envelope[Frozen], judged: list[tuple[str, Policy]]) -> set[Verdict]:
        verdicts = [(policy, self.judge(event, name, policy)) for name, policy in judged if self.tag(name).digest]
        acting = [(p, v) for p, v in verdicts if v[2] in ACTS and p.mode == "enforce"]
        final = {verdict for policy, verdict in verdicts if (policy, verdict) not in acting}
        for policy, verdict in acting:
            others = [(p, v) for p, v in acting if v[3] == verdict[3]]
            digests = {str(self.tag(v[0]).digest) for _, v in others}
            last: dict[str, str] = {}
            for revision, target, name, digest in self.wanted:
                if revision == self.revision() and target == verdict[3] and name not in {p.name for p, _ in others}:
                    last[name] = digest
            is_shared = self.shares_target(policy, verdict[0])
            conflict = len(digests | (set(last.values()) if is_shared else set())) > 1
            final.add((verdict[0], policy.name, "deny" if conflict else verdict[2], verdict[3]))
        for policy, verdict in acting:
            if self.shares_target(policy, verdict[0]):
                self.wanted.append((self.revision(), str(verdict[3]), policy.name, str(self.tag(verdict[0]).digest)))
        return final

    def shares_target(self, policy: Policy, name: str) -> bool:
        places = [str(target_of(other, name)).rpartition(":")[0] for other in self.matching(name)]
        return places.count(str(target_of(policy, name)).rpartition(":")[0]) > 1


def looks_at(policy: Policy) -> set[str]:
    kinds = {kind for rule in policy.rules for kind in LOOKS_AT.get(rule.field, ())}
    return kinds | {"inspection"} if policy.platforms else kinds


def hours(since: str, now: str) -> float:
    return (parse_instant(now) - parse_instant(since)).total_seconds() / 3600
