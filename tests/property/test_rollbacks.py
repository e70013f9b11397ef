"""However proposals, approvals and arrivals follow: nobody alone moves a tag back, and nothing happens twice."""

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.decisions import ROLLBACK
from schemas.envelope import Envelope
from schemas.events import TransferCompleted
from schemas.references import Frozen
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackRequested
from tests.support.builders import arrived
from tests.support.rollbacks import back, rollback_approved, rollback_requested
from towline.policy.step import MemoryState, Step

TARGET = "local/qa/app:1.0"
STEPS = (back(TARGET, "bad", "good"), back(TARGET, "bad", None), back(TARGET, "good", "bad"))
REQUESTS = [
    rollback_requested(step, by=by, approvals=approvals, key=key)
    for step in STEPS
    for by in ("alice", "bob")
    for approvals in (1, 2)
    for key in ("", "again")
]
APPROVALS = [rollback_approved(request, by=by) for request in REQUESTS for by in ("alice", "bob", "carol")]
ARRIVALS = [arrived(TARGET, image, hops=1, key=str(n)) for image in ("good", "bad", "other") for n in range(4)]

plays = st.lists(
    st.one_of(st.sampled_from(REQUESTS), st.sampled_from(APPROVALS), st.sampled_from(ARRIVALS)), max_size=40
)


@given(plays)
@settings(max_examples=300, deadline=None)
def test_a_tag_is_moved_back_only_from_what_was_expected_and_with_enough_other_people(
    play: list[Envelope[Frozen]],
) -> None:
    state = MemoryState()
    present: str | None = None
    requests: dict[str, RollbackRequested] = {}
    agreed: dict[str, set[str]] = {}
    for event in play:
        step = state.step(event)
        match event.data:
            case RollbackRequested() as data:
                requests.setdefault(event.id, data)
            case RollbackApproved() as data if data.request_id in requests:
                agreed.setdefault(data.request_id, set()).add(data.actor)
            case _:
                pass
        for decision in step.decisions:
            if decision.data.policy == ROLLBACK and decision.data.verdict in {"promote", "remove"}:
                assert isinstance(event.data, RollbackApproved)
                request = requests[event.data.request_id]
                others = agreed[event.data.request_id] - {request.actor}
                assert len(others) >= request.approvals
                assert present == request.step.expected_digest
                assert [type(told.data) for told in step.announcements] == [DigestBarred]
        if isinstance(event.data, TransferCompleted):
            present = present_after(state, event.data)


def present_after(state: MemoryState, data: TransferCompleted) -> str | None:
    found = state.get(f"tag {data.target}")
    return None if found is None else found["digest"]


def seen(step: Step) -> list[str]:
    return [record.id for record in (*step.decisions, *step.commands, *step.announcements)]


@given(plays, st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_told_again_later_decides_nothing(play: list[Envelope[Frozen]], data: st.DataObject) -> None:
    state, told = MemoryState(), list[Envelope[Frozen]]()
    for event in play:
        if event.id not in {one.id for one in told}:
            state.step(event)
            told.append(event)
    again = [event for event in told if not isinstance(event.data, TransferCompleted)]
    for event in data.draw(st.permutations(again)) if again else ():
        if not was_too_early(event, told):
            assert seen(state.step(event)) == []


def was_too_early(event: Envelope[Frozen], told: list[Envelope[Frozen]]) -> bool:
    """Tell whether an event came to nothing the first time, so that it may have its effect now.

    That is an approval before its proposal, and a proposal while another of the same step waited.
    """
    ids = [one.id for one in told]
    if isinstance(event.data, RollbackApproved):
        request = event.data.request_id
        return request not in ids or ids.index(request) > ids.index(event.id) or was_not_taken(request, told)
    return was_not_taken(event.id, told)


def was_not_taken(request_id: str, told: list[Envelope[Frozen]]) -> bool:
    state = MemoryState()
    made = {event.id: state.step(event).decisions for event in told}
    return not made.get(request_id)
