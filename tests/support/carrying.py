"""A world whose commands are carried out at registries that are nothing but tags."""

from schemas.canonical import content_id
from schemas.commands import CopyImage, RemoveTag
from schemas.envelope import Envelope
from schemas.events import ImagePushed, TagRemoved, TransferCompleted, TransferFailed, TransferSkipped
from schemas.outcomes import Outcome
from schemas.references import Frozen, Reference
from tests.support.builders import at, completed, failed, skipped
from tests.support.world import World


class CarryingWorld(World):
    """Pushes are at their registry, and each command is carried out once, until none is left."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, str] = {}
        #: Digests that the registries have collected.
        self.gone: set[str] = set()
        self._ended: set[str] = set()
        self._seconds = 1000

    async def happen(self, *events: Envelope[Frozen]) -> None:
        """Record events one after the other, and carry out what follows from each."""
        for event in events:
            if isinstance(event.data, ImagePushed):
                self.tags[str(Reference(event.data.repository, event.data.tag))] = event.data.digest
            await self.record(event)
            await self.carry_out()

    async def carry_out(self) -> None:
        """Carry out what was commanded, and what follows from that."""
        await self.fold()
        while left := [item for item in await self.commands() if item.id not in self._ended]:
            for item in left:
                self._ended.add(item.id)
                if isinstance(item.data, CopyImage | RemoveTag):
                    self._seconds += 1
                    end = self._end(item.id, item.data)
                    id_ = content_id(item.id, "outcome")
                    await self.record(Envelope(id_, "test", str(end.target), at(self._seconds), end))

    def _end(self, id_: str, command: CopyImage | RemoveTag) -> Outcome:
        target = str(command.target)
        before = self.tags.get(target)
        if isinstance(command, RemoveTag):
            self.tags.pop(target, None)
            return TagRemoved(**command.outcome_members(id_), previous_digest=before)
        made: TransferCompleted | TransferFailed | TransferSkipped
        if command.digest in self.gone:
            made = failed(id_, command)
        elif before == command.digest:
            made = skipped(id_, command)
        else:
            made = completed(id_, command)
            self.tags[target] = command.digest
        return made.model_copy(update={"previous_digest": before})
