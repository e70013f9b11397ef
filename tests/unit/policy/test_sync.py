"""A source that somebody wants asked is asked once, at once, and its interval goes on as if nothing had been."""

from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.events import SyncRequested
from schemas.patterns import SourcePattern
from schemas.references import Frozen
from streams.routing import home_partition
from tests.support.builders import at, envelope, policy, proposed, published, ticked
from tests.unit.policy.playing import DEV, QA, Partition
from towline.policy.publish import PROPOSAL_PARTITION

POLLED = policy("polled", DEV, QA, poll="30m")


def wanted(source: str = DEV, *, seconds: int = 0) -> Envelope[Frozen]:
    data = SyncRequested(policy="polled", source=SourcePattern.parse(source), actor="ann")
    return envelope(data, subject=source, key=f"sync {source} {seconds}", time=at(seconds))


def test_a_source_is_asked_at_once_with_a_command_that_names_the_wish() -> None:
    partition = Partition(proposed(POLLED), published(POLLED))
    event = wanted(seconds=60)
    assert partition.take(event) == []
    [poll] = partition.polls
    assert (poll.event_id, str(poll.source), poll.cause) == (event.id, DEV, "manual")
    assert partition.step is not None
    [command] = partition.step.commands
    assert command.id == content_id(event.id, "repository.poll", DEV)
    assert partition.step.changes == ()


def test_a_glob_is_asked_as_one() -> None:
    partition = Partition(wanted("local/dev/*"))
    assert [str(poll.source) for poll in partition.polls] == ["local/dev/*"]


def test_the_interval_goes_on_as_it_was() -> None:
    partition = Partition(proposed(POLLED), published(POLLED), ticked(60), wanted(seconds=1700))
    partition.take(ticked(1799))
    assert partition.polls == []
    partition.take(ticked(1800))
    assert [poll.cause for poll in partition.polls] == ["interval"]


def test_a_wish_stands_where_polls_are_decided() -> None:
    assert home_partition(wanted(), 12) == PROPOSAL_PARTITION
    assert home_partition(wanted("remote/other/thing"), 12) == PROPOSAL_PARTITION
