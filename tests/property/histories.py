"""Random histories: everything that can happen to a few tags of a few repositories under a few policy sets."""

from itertools import chain
from typing import Any

from hypothesis import strategies as st

from schemas.descriptors import OCI_INDEX, OCI_MANIFEST
from schemas.envelope import Envelope
from schemas.events import TagRemoved
from schemas.references import Frozen
from schemas.rollbacks import RollbackRequested
from tests.property.naive import Naive
from tests.support.builders import (
    arrived,
    at,
    command,
    deleted,
    envelope,
    policy,
    published,
    pushed,
    rule,
    rule_on,
    ticked,
)
from tests.support.facts import (
    approval_revoked,
    approved,
    inspected,
    inspection_failed,
    listed,
    observed,
    overridden,
    override_revoked,
    platform_image,
    poll_completed,
    requested,
    scanned,
    signed,
    vulnerability,
)
from tests.support.hints import hinted, looked, missing
from tests.support.rollbacks import back, barred, rollback_approved, rollback_requested

REPOSITORIES = ("local/dev/app", "local/dev/tool", "local/qa/app")
TAGS = ("1-stable", "2")
CLEAN = rule_on("vulnerability_all", "=", "0")
SOAK = rule_on("soak", ">=", "2h")
MORNING = rule_on("window", "inside", "09:00-10:00")
APPROVED = rule_on("approved", ">=", "1")

SETS = (
    (),
    (policy("a", "local/dev/app", "local/qa/app", rule("ends-with", "-stable")),),
    (
        policy("a", "local/dev/*", "local/qa/{1}", CLEAN),
        policy("b", "local/dev/app", "remote/app", rule("not-one-of", "2"), SOAK),
        policy("c", "local/qa/app", "remote/qa", rule_on("signed-by", "one-of", "release"), initial_evaluation=False),
    ),
    (
        policy("a", "local/dev/*", "local/qa/{1}", CLEAN, platforms=("linux/amd64",), initial_evaluation=False),
        policy("b", "local/dev/app", "remote/app", SOAK, MORNING, mode="shadow"),
        policy("d", "local/qa/app", "remote/qa", rule_on("size", "<", "2000"), MORNING),
    ),
    (
        policy("a", "local/dev/app", "local/prod/app", rule("ends-with", "-stable"), tag="stable"),
        policy("b", "local/dev/app", "local/prod/app", rule("not-one-of", "1-stable"), APPROVED, tag="stable"),
        policy("c", "local/dev/tool", "local/prod/tool", tag="stable"),
        policy("d", "local/dev/app", "remote/app", CLEAN, APPROVED, SOAK, mode="disabled"),
    ),
    (
        policy("a", "local/dev/*", "remote/{1}", rule_on("updated_at_duration", "after", "3h"), CLEAN),
        policy("b", "local/dev/tool", "local/qa/tool", APPROVED, SOAK),
    ),
    (
        policy("a", "local/dev/*", "local/qa/{1}", deletions="50%"),
        policy("b", "local/dev/app", "remote/app", CLEAN, deletions="100%"),
        policy("c", "local/qa/app", "remote/qa", deletions="100%", initial_evaluation=False),
    ),
    (
        policy("a", "local/dev/app", "local/qa/app", rule("ends-with", "-stable"), deletions="100%"),
        policy("b", "local/dev/app", "remote/moved", deletions="100%", mode="shadow"),
        policy("c", "local/qa/app", "remote/qa"),
    ),
    (
        policy("a", "local/dev/app", "local/qa/app", deletions="100%", mode="shadow"),
        policy("b", "local/dev/app", "remote/app", rule("not-one-of", "2"), deletions="30%"),
    ),
)

#: Some come more often, so that what happens meets.
repositories = st.sampled_from((*REPOSITORIES, *["local/dev/app"] * 5))
references = st.builds("{}:{}".format, repositories, st.sampled_from(TAGS))
images = st.sampled_from(["one", "one", "one", "two", "index"])
parts = st.sampled_from(["one", "one", "index", "amd64", "arm64"])
policies = st.sampled_from(["a", "b"])
people = st.sampled_from(["ann", "bob"])
someone = st.none() | people
vulnerabilities = st.sampled_from(["CVE-1", "CVE-2"])
expiries = st.sampled_from([None, 7200, 20_000])
sets = st.integers(0, len(SETS) - 1)
listings = st.lists(st.sampled_from(TAGS), unique=True)

#: Of rollbacks: what has something bad, what it has and gets, who comes, and up to which revision a bar holds.
targets = st.sampled_from(["local/qa/app:1-stable", "local/qa/app:1-stable", "local/qa/app:2"])
changes = st.sampled_from([("one", "two"), ("one", None), ("two", "one"), ("index", "one")])
everybody = st.sampled_from(["ann", "bob", "carol", "dave"])
revisions = st.sampled_from([None, None, 1, 2])
barred_places = st.sampled_from(["local/qa/app", "local/qa/tool", "remote/app", "local/prod/app", "remote/qa"])
wanted = st.sampled_from(["local/prod/manual:1", "local/qa/app:1-stable", "remote/app:2"])

steps = st.one_of(
    *(st.tuples(st.just("push"), references, images, people) for _ in range(3)),
    st.tuples(st.just("arrive"), references, images, st.integers(1, 4)),
    st.tuples(st.just("observe"), references, images, st.sampled_from([0, 0, 3600])),
    *(st.tuples(st.just("look"), references, images, someone, st.sampled_from([0, 0, 3600])) for _ in range(2)),
    st.tuples(st.just("hint"), references, someone),
    st.tuples(st.just("miss"), references, st.sampled_from([0, 0, 3600])),
    st.tuples(st.just("poll"), repositories),
    st.tuples(st.just("delete"), references),
    st.tuples(st.just("list"), repositories, listings, st.sampled_from([None, "1-stable"]), st.sampled_from([0, 3600])),
    *(st.tuples(st.just("compare"), repositories, st.sampled_from([True, True, True, False])) for _ in range(2)),
    st.tuples(st.just("remove"), references, images),
    *(st.tuples(st.just("publish"), sets, st.integers(-1, 2)) for _ in range(2)),
    *(st.tuples(st.just("tick"), st.sampled_from([0, 0, 0, -5000])) for _ in range(2)),
    *(
        st.tuples(
            st.just("scan"), repositories, parts, st.sampled_from([None, "linux/amd64", "linux/arm64"]),
            st.lists(vulnerabilities, max_size=2, unique=True),
        )
        for _ in range(3)
    ),
    st.tuples(st.just("inspect"), repositories, images),
    st.tuples(st.just("fail"), repositories, images),
    st.tuples(st.just("override"), repositories, st.none() | parts, vulnerabilities, expiries),
    st.tuples(st.just("revoke"), repositories, st.none() | parts, vulnerabilities),
    st.tuples(st.just("approve"), repositories, images, policies, people, expiries),
    st.tuples(st.just("unapprove"), repositories, images, policies, people),
    st.tuples(st.just("sign"), repositories, images, st.sampled_from(["release", "other"])),
    st.tuples(st.just("request"), references, images, wanted),
    *(st.tuples(st.just("undo"), targets, changes, everybody, st.integers(1, 3), revisions) for _ in range(2)),
    *(st.tuples(st.just("agree"), st.integers(0, 3), everybody) for _ in range(3)),
    st.tuples(st.just("bar"), barred_places, images, revisions),
)  # fmt: skip
timed = st.tuples(steps, st.sampled_from([0, 60, 1800, 3600, 7200]))
beginnings = st.tuples(st.tuples(st.just("publish"), sets, st.just(1)), st.just(0))
plays = st.builds(lambda first, rest: [first, *rest], beginnings, st.lists(timed, max_size=18)) | st.lists(
    timed, max_size=9
)

#: Little happens in these but what makes tags vanish and targets follow.
_few = st.builds("local/dev/app:{}".format, st.sampled_from([*TAGS, "3", "4"]))
_agree = ("compare", "local/dev/app", True)
_vanishing = st.one_of(
    *(st.builds(lambda name, image: [("push", name, image, "ann")], _few, images) for _ in range(3)),
    st.builds(lambda names: [*(("delete", name) for name in names), _agree], st.lists(_few, min_size=1, max_size=3)),
    st.builds(lambda tags: [("list", "local/dev/app", tags, None, 0), _agree], listings),
    st.builds(lambda name: [("delete", name)], _few),
    st.builds(lambda name: [("miss", name, 0)], _few),
    st.builds(lambda name, image: [("hint", name, "ann"), ("look", name, image, "ann", 0)], _few, images),
    st.builds(lambda number: [("publish", number, 1), _agree], st.sampled_from([6, 6, 7, 8, 1])),
    st.builds(lambda image: [("scan", "local/dev/app", image, None, [])], images),
    st.just([("tick", 0)]),
)
_beginning = [
    ("scan", "local/dev/app", "one", None, []),
    *(("push", f"local/dev/app:{tag}", "one", "ann") for tag in (*TAGS, "3")),
]
vanishings = st.builds(
    lambda first, rest: [(step, 0) for step in [("publish", first, 1), *_beginning, *chain.from_iterable(rest)]],
    st.sampled_from([6, 7, 8]),
    st.lists(_vanishing, max_size=10),
)

#: In these, images come to a target, are rolled back by two people, and are wanted there again.
_bad = st.builds("local/qa/app:{}".format, st.sampled_from(["1-stable", "1-stable", "2"]))
_pairs = st.sampled_from([("one", "two"), ("one", "two"), ("one", None), ("two", "one")])
_two = st.sampled_from(["one", "two"])


def _rolled_back(step: tuple[Any, ...], others: list[str]) -> list[tuple[Any, ...]]:
    """A target has what its rollback expects, and some people agree."""
    return [("arrive", step[1], step[2][0], 1), step, *(("agree", 0, other) for other in others)]


def _wanted_again(image: str, tag: str, bars: list[int | None], first: bool, last: bool) -> list[tuple[Any, ...]]:
    """A person wants an image between two bars, or after them; then a policy does."""
    barring = [("bar", "local/qa/app", image, until) for until in bars]
    asking = ("request", "local/dev/app:2", image, "local/qa/app:1-stable")
    push = ("push", f"local/dev/app:{tag}", image, "ann")
    return [*barring[:1], *[asking] * first, *barring[1:], *[asking] * last, push]


_undo = st.tuples(st.just("undo"), _bad, _pairs, everybody, st.integers(1, 3), revisions)
_bars = st.lists(revisions, min_size=1, max_size=2)
_agreeing = st.builds(_rolled_back, _undo, st.permutations(["ann", "bob", "carol", "dave"]))
_again = st.builds(_wanted_again, _two, st.sampled_from(["2", "3", "1-stable"]), _bars, st.booleans(), st.booleans())
_undoing = st.one_of(
    *(_agreeing for _ in range(3)),
    *(_again for _ in range(3)),
    st.builds(lambda name, image: [("arrive", name, image, 1)], _bad, _two),
    st.builds(lambda number, by: [("agree", number, by)], st.integers(0, 3), everybody),
    st.builds(lambda tag, image: [("push", f"local/dev/app:{tag}", image, "ann")], st.sampled_from(TAGS), _two),
    st.builds(lambda number: [("publish", number, 1)], st.sampled_from([1, 2, 3, 6])),
    st.builds(lambda image: [("scan", "local/dev/app", image, None, [])], images),
    st.just([("tick", 0)]),
)  # fmt: skip
undoings = st.builds(
    lambda first, rest: [(step, 0) for step in [("publish", first, 1), *chain.from_iterable(rest)]],
    st.sampled_from([1, 6, 6]),
    st.lists(_undoing, max_size=6),
)

histories = plays | vanishings | undoings

_MEDIA = {"one": OCI_MANIFEST, "index": OCI_INDEX}
_INDEX = (platform_image("linux/amd64", "amd64"), platform_image("linux/arm64", "arm64"))


def history_of(play: list[tuple[tuple[Any, ...], int]]) -> list[Envelope[Frozen]]:
    """Return the events of a play: every step so many seconds after the one before, and none twice."""
    events, now, revision = [], 0, 0
    for number, (step, seconds) in enumerate(play):
        now += seconds + 1
        if step[0] == "compare":
            events.append(_compared(step[1], Naive(events) if step[2] else Naive(), str(number), now))
            continue
        if step[0] == "agree":
            events += _agreed(events, *step[1:], at(now))
            continue
        events.append(_event(step, str(number), now, revision))
        if step[0] == "publish":
            revision = max(revision, revision + step[2])
    return events


def _compared(repository: str, known: Naive, key: str, now: int) -> Envelope[Frozen]:
    return poll_completed(repository, contents=known.contents(repository), key=key, time=at(now))


def _agreed(events: list[Envelope[Frozen]], number: int, by: str, time: str) -> list[Envelope[Frozen]]:
    """Return the approval of one of the last proposals, unless there is none, or that person gave it."""
    proposed = [event for event in events if isinstance(event.data, RollbackRequested)]
    if not proposed:
        return []
    event = rollback_approved(proposed[-1 - number % len(proposed)], by=by)
    if event.id in {one.id for one in events}:
        return []
    return [Envelope(event.id, event.source, event.subject, time, event.data)]


def _removed(reference: str, image: str, key: str, time: str) -> Envelope[Frozen]:
    copy = command("local/before/app:1.0", reference, image)
    data = TagRemoved(**copy.data.outcome_members(copy.id), previous_digest=copy.data.digest)
    return envelope(data, subject=reference, key=f"removed {reference} {image} {key}", time=time)


def _event(step: tuple[Any, ...], key: str, now: int, revision: int) -> Envelope[Frozen]:
    kind, first, *rest = step
    time = at(now)
    match kind:
        case "push":
            event = pushed(first, rest[0], key=key, time=time, media_type=_MEDIA.get(rest[0]), actor=rest[1])
        case "arrive":
            event = arrived(first, rest[0], hops=rest[1], key=key)
        case "hint":
            event = hinted(first, actor=rest[0], key=key)
        case "observe" | "look" | "miss" | "list":
            return _seen(kind, first, rest, key, at(now - rest[-1]))
        case "remove":
            event = _removed(first, rest[0], key, time)
        case "delete" | "poll":
            event = (deleted if kind == "delete" else poll_completed)(first, key=key, time=time)
        case "publish":
            event = published(*SETS[first], revision=max(revision + rest[0], 1))
        case "tick":
            event = ticked(now + first)
        case "undo" | "bar":
            event = _undone(kind, first, rest, key)
        case _:
            event = _fact(kind, first, rest, key, time)
    return Envelope(event.id, event.source, event.subject, time if kind != "tick" else event.time, event.data)


def _undone(kind: str, place: str, rest: list[Any], key: str) -> Envelope[Frozen]:
    if kind == "bar":
        return barred(place, rest[0], revision=rest[1], key=key)
    (bad, good), by, approvals, until = rest
    return rollback_requested(back(place, bad, good), by=by, key=key, approvals=approvals, revision=until)


def _seen(kind: str, place: str, rest: list[Any], key: str, time: str) -> Envelope[Frozen]:
    match kind:
        case "observe":
            return observed(place, rest[0], key=key, time=time)
        case "look":
            return looked(place, rest[0], key=key, actor=rest[1], media_type=_MEDIA.get(rest[0]), time=time)
        case "miss":
            return missing(place, key=key, time=time)
        case _:
            tags, until = rest[0], rest[1]
            return listed(
                place, *(tag for tag in tags if until is None or tag <= until), until=until, key=key, time=time
            )


def _fact(kind: str, repository: str, rest: list[Any], key: str, time: str) -> Envelope[Frozen]:
    match kind:
        case "scan":
            found = [vulnerability(name) for name in rest[2]]
            return scanned(repository, rest[0], *found, platform=rest[1], key=key, time=time)
        case "inspect":
            return inspected(repository, rest[0], *(_INDEX if rest[0] == "index" else ()), key=key, time=time)
        case "fail":
            return inspection_failed(repository, rest[0], key=key, time=time)
        case "override":
            expires_at = None if rest[2] is None else at(rest[2])
            return overridden(repository, rest[1], image=rest[0], expires_at=expires_at, key=key, time=time)
        case "revoke":
            return override_revoked(repository, rest[1], image=rest[0], key=key, time=time)
        case "approve":
            expires_at = None if rest[3] is None else at(rest[3])
            return approved(repository, rest[0], rest[1], rest[2], expires_at=expires_at, key=key, time=time)
        case "unapprove":
            return approval_revoked(repository, *rest, key=key, time=time)
        case "sign":
            return signed(repository, rest[0], rest[1], key=key, time=time)
        case _:
            return requested(repository, *rest, key=key, time=time)
