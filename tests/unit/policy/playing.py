"""Playing events to a partition, and looking at what each leads to."""

from schemas.commands import CopyImage, InspectImage, PollRepository, RemoveTag
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.references import Frozen
from towline.policy.step import MemoryState, Step

DEV = "local/dev/app"
QA = "local/qa/app"
TAG = f"{DEV}:1.0"


class Partition:
    """A partition, with the last step."""

    def __init__(self, *events: Envelope[Frozen]) -> None:
        self.state = MemoryState()
        self.step: Step | None = None
        self.take(*events)

    def take(self, *events: Envelope[Frozen]) -> list[Decision]:
        """Take events and return the decisions of all of them."""
        made = []
        for event in events:
            self.step = self.state.step(event)
            made += [decision.data for decision in self.step.decisions]
        return made

    def verdicts(self, *events: Envelope[Frozen]) -> list[str]:
        """Take events and return the verdicts of all of them."""
        return [decision.verdict for decision in self.take(*events)]

    @property
    def copies(self) -> list[CopyImage]:
        """The copies that the last event leads to."""
        return [command for command in self._commands() if isinstance(command, CopyImage)]

    @property
    def removals(self) -> list[RemoveTag]:
        """The removals that the last event leads to."""
        return [command for command in self._commands() if isinstance(command, RemoveTag)]

    @property
    def inspections(self) -> list[InspectImage]:
        """The inspections that the last event leads to."""
        return [command for command in self._commands() if isinstance(command, InspectImage)]

    @property
    def polls(self) -> list[PollRepository]:
        """The polls that the last event leads to."""
        return [command for command in self._commands() if isinstance(command, PollRepository)]

    @property
    def carried(self) -> list[Frozen]:
        """The facts that the last event carries to its targets."""
        return [] if self.step is None else [fact.data for fact in self.step.carried]

    def _commands(self) -> list[Frozen]:
        return [] if self.step is None else [command.data for command in self.step.commands]
