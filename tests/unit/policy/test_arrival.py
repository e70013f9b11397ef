"""What is an arrival, and what only looks like one."""

from dataclasses import replace

import pytest

from schemas.catalogue import EVENT_TYPES
from schemas.events import TransferSkipped
from schemas.examples import EXAMPLES
from towline.policy.arrival import arrival_of, is_arrival


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_whether_an_event_is_an_arrival_is_told_as_the_arrival_itself(name: str) -> None:
    event = EXAMPLES[name]
    assert is_arrival(event) == (arrival_of(event) is not None)


@pytest.mark.parametrize("later", [None, "a" * 64])
def test_a_transfer_that_a_later_command_superseded_brought_nothing(later: str | None) -> None:
    event = EXAMPLES["transfer.skipped"]
    assert isinstance(event.data, TransferSkipped)
    event = replace(event, data=event.data.model_copy(update={"superseded_by": later}))
    assert is_arrival(event) == (arrival_of(event) is not None) == (later is None)
