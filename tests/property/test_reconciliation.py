"""A registry, webhooks that may be lost, an observer and the core: what the log knows becomes what is there.

The observer is written as plainly as the contract says it: it remembers what it recorded last, and may forget.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.commands import PollRepository, ResolveTag
from schemas.envelope import Envelope
from schemas.references import Frozen, Reference
from tests.support.builders import at, deleted, policy, proposed, published, pushed, ticked
from tests.support.facts import listed, observed, poll_completed
from tests.support.hints import hinted, looked, missing
from towline.policy.contents import contents_of
from towline.policy.state.tags import TagState
from towline.policy.step import MemoryState

DEV = "local/dev/app"
TAGS = ("a", "b", "c")
SET = (policy("mirror", DEV, "remote/app", deletions="100%"),)
INTERVAL = 6 * 3600


@dataclass
class World:
    """Everything at one time. Each step takes a second; what an observer sees carries the time when it began."""

    registry: dict[str, str] = field(default_factory=dict)
    remembered: dict[str, str] | None = None
    target: dict[str, str] = field(default_factory=dict)
    state: MemoryState = field(default_factory=MemoryState)
    now: int = 0
    #: The polls that were given: complete ones, and others.
    complete: int = 0
    others: int = 0
    #: The looks that were given and not made yet.
    looks: list[ResolveTag] = field(default_factory=list)

    def take(self, event: Envelope[Frozen]) -> list[Envelope[PollRepository]]:
        """Let the core take an event, and the target what comes of it; return the polls that follow."""
        step = self.state.step(event)
        asked: list[Envelope[PollRepository]] = []
        for command in step.commands:
            data: Any = command.data
            if isinstance(data, PollRepository):
                asked.append(command)  # type: ignore[arg-type]
                self.complete += data.is_complete
                self.others += not data.is_complete
            elif isinstance(data, ResolveTag):
                self.looks.append(data)
            elif type(data).__name__ == "CopyImage":
                self.target[data.target.tag] = data.digest
            elif self.target.get(data.target.tag) == data.digest:
                del self.target[data.target.tag]
        return asked

    def tell(self, event: Envelope[Frozen], *, is_lost: bool) -> None:
        self.now += 1
        if not is_lost:
            assert self.take(event) == []

    def push(self, tag: str, image: str, *, is_lost: bool) -> None:
        event = pushed(f"{DEV}:{tag}", image, key=f"push {self.now}", time=at(self.now))
        self.registry[tag] = event.data.digest  # type: ignore[attr-defined]
        self.tell(event, is_lost=is_lost)

    def delete(self, tag: str, *, is_lost: bool) -> None:
        if self.registry.pop(tag, None) is not None:
            self.tell(deleted(f"{DEV}:{tag}", key=f"delete {self.now}", time=at(self.now)), is_lost=is_lost)

    def hint(self, tag: str) -> None:
        """Let somebody hint at a tag, and an observer look at it at once."""
        self.now += 1
        assert self.take(hinted(f"{DEV}:{tag}", key=str(self.now), time=at(self.now))) == []
        (look,) = self.looks
        assert look.tag == tag
        self.looks.clear()
        self.now += 1
        image = self.registry.get(tag)
        if image is None:
            event = missing(f"{DEV}:{tag}", key=str(self.now), time=at(self.now))
            (self.remembered or {}).pop(tag, None)
        else:
            event = _with_digest(looked(f"{DEV}:{tag}", "x", key=str(self.now), time=at(self.now)), image)
            if self.remembered is not None:
                self.remembered[tag] = image
        assert self.take(event) == []

    def poll(self, meanwhile: list[tuple[Any, ...]]) -> None:
        """Let time pass until the source is asked, and carry out the polls to the last."""
        self.now += INTERVAL
        given = self.complete
        waiting = self.take(ticked(self.now))
        assert len(waiting) == 1
        for command in waiting:
            follow = self.observe(command, meanwhile)
            assert len(follow) <= 1
            for complete in follow:
                assert self.observe(complete, []) == [], "an answer to a complete poll is not questioned"
        assert self.complete - given <= 1, "at most one complete poll follows"

    def observe(
        self, command: Envelope[PollRepository], meanwhile: list[tuple[Any, ...]]
    ) -> list[Envelope[PollRepository]]:
        began, seen, known = self.now, dict(self.registry), self.remembered
        self.now += 1
        for step in meanwhile:
            self.play(step)
        follow: list[Envelope[PollRepository]] = []
        for event in self._records(command, began, seen, known):
            follow += self.take(event)
        self.remembered = seen
        return follow

    def _records(
        self, command: Envelope[PollRepository], began: int, seen: dict[str, str], known: dict[str, str] | None
    ) -> Iterator[Envelope[Frozen]]:
        cause, is_all = command.data.cause, command.data.is_complete or known is None
        for tag, image in sorted(seen.items()):
            if is_all or (known or {}).get(tag) != image:
                yield _with_digest(observed(f"{DEV}:{tag}", "x", key=command.id, time=at(began), cause=cause), image)
        if is_all or (known or {}).keys() - seen.keys():
            # Two pages, so that ranges count.
            yield listed(DEV, *(seen.keys() & {"a"}), until="a", key=command.id, time=at(began), cause=cause)
            yield listed(DEV, *(seen.keys() - {"a"}), after="a", key=command.id, time=at(began), cause=cause)
        yield poll_completed(DEV, contents=contents_of(seen), command_id=command.id, key=command.id, time=at(self.now))

    def play(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("push", tag, image, is_lost):
                self.push(tag, image, is_lost=is_lost)
            case ("delete", tag, is_lost):
                self.delete(tag, is_lost=is_lost)
            case ("hint", tag):
                self.hint(tag)
            case ("forget",):
                self.remembered = None
            case ("poll", meanwhile):
                self.poll(meanwhile)

    def known(self) -> dict[str, str]:
        found = {tag: TagState.read(self.state, Reference.parse(f"{DEV}:{tag}")).digest for tag in TAGS}
        return {tag: image for tag, image in found.items() if image is not None}


def _with_digest(event: Envelope[Frozen], image: str) -> Envelope[Frozen]:
    data = event.data.model_copy(update={"digest": image})
    return Envelope(event.id, event.source, event.subject, event.time, data)


tags = st.sampled_from(TAGS)
changes = st.one_of(
    st.tuples(st.just("push"), tags, st.sampled_from(["one", "two"]), st.booleans()),
    st.tuples(st.just("delete"), tags, st.booleans()),
    st.tuples(st.just("hint"), tags),
)
plays = st.lists(
    st.one_of(
        changes,
        changes,
        st.tuples(st.just("forget")),
        st.tuples(st.just("poll"), st.lists(changes, max_size=2)),
    ),
    max_size=16,
)


def played(steps: list[tuple[Any, ...]]) -> World:
    world = World()
    world.take(proposed(*SET))
    world.take(published(*SET))
    for step in steps:
        world.play(step)
    return world


@given(plays)
@settings(max_examples=300, deadline=None)
def test_after_one_poll_without_a_push_the_log_knows_what_is_there_and_after_two_the_target_follows(
    steps: list[tuple[Any, ...]],
) -> None:
    world = played(steps)
    world.poll([])
    assert world.known() == world.registry
    complete = world.complete
    world.poll([])
    assert world.complete == complete, "where nothing differs nothing is looked into"
    assert world.target.keys() == world.registry.keys()
    assert world.target == world.registry
    world.poll([])
    assert world.complete == complete


def test_a_tag_that_moved_there_and_back_while_webhooks_were_lost_is_found() -> None:
    """The observer remembers the digest that the log forgot: it sees nothing new, and only the sum tells."""
    steps = [("push", "a", "one", False), ("poll", []), ("push", "a", "two", False), ("push", "a", "one", True)]
    world = played(steps)
    assert world.known() != world.registry
    world.poll([])
    assert world.known() == world.registry
    assert world.complete == 1


def test_a_tag_that_is_hinted_at_is_known_before_any_poll_and_the_next_one_finds_nothing_new() -> None:
    steps = [
        ("push", "b", "one", False),
        ("poll", []),
        ("push", "a", "two", True),
        ("hint", "a"),
        ("delete", "b", True),
    ]
    world = played([*steps, ("hint", "b")])
    assert world.known() == world.registry == {"a": world.registry["a"]}
    assert world.target["a"] == world.registry["a"]
    world.poll([])
    assert world.complete == 0
