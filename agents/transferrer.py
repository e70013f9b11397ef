"""The transferrer: copies images and removes tags, one after the other for each target tag."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agents.command_runner import CommandRunner, Duty, Record
from agents.outcomes import end_id, known_now
from agents.reporting import Pause, pause_until, reporting
from schemas.commands import CopyImage, RemoveTag
from schemas.envelope import Envelope
from schemas.events import RemovalSkipped, TransferSkipped
from schemas.outcomes import Outcome
from schemas.references import Frozen
from streams.log import EventLog
from streams.topics import repository_key
from towline import limits
from towline.failpoints import Failpoints
from towline.registry import CopyProgress, RemovalOutcome, TransferOutcome

SOURCE = "towline/transferrer"

Order = CopyImage | RemoveTag


@dataclass(frozen=True, slots=True)
class Work:
    """How commands are carried out. Both return how it ended; a copy tells meanwhile how far it is."""

    copy: Callable[[str, CopyImage, CopyProgress], Awaitable[TransferOutcome]]
    remove: Callable[[str, RemoveTag], Awaitable[RemovalOutcome]]
    pause: Pause = pause_until


def make_transferrer(
    log: EventLog,
    event_partitions: int,
    work: Work,
    failpoints: Failpoints,
    on_failure: Callable[[BaseException], None],
) -> CommandRunner[Order]:
    """Return the handler of the commands about target tags."""

    async def carry_out(command_id: str, command: Order, record: Record) -> Envelope[Frozen]:
        if isinstance(command, RemoveTag):
            return _end(command_id, await work.remove(command_id, command))
        async with reporting(command_id, command, record, SOURCE, work.pause) as progress:
            outcome = await work.copy(command_id, command, progress)
        return _end(command_id, outcome)

    duty: Duty[Order] = Duty(
        name="transferrer",
        commands=(CopyImage, RemoveTag),
        ends=(Outcome,),
        key=lambda command: repository_key(command.target.repository),
        queue=lambda command: command.target,
        carry_out=carry_out,
        superseded=_superseded,
        at_a_time=limits.parallel_transfer_count,
        rejects=True,
    )
    return CommandRunner(duty, log, event_partitions, failpoints, on_failure)


def _superseded(command_id: str, command: Order, later_id: str, later: Order) -> Envelope[Frozen] | None:
    if not _leaves_nothing_to_do(command, later):
        return None
    members = command.outcome_members(command_id)
    reason = f"superseded by the later command {later_id} for {command.target}"
    kind = RemovalSkipped if isinstance(command, RemoveTag) else TransferSkipped
    return _end(command_id, kind(**members, reason=reason, superseded_by=later_id))


def _leaves_nothing_to_do(command: Order, later: Order) -> bool:
    """Tell whether the target tag is the same in the end when only the later of two commands is carried out."""
    if isinstance(later, RemoveTag):
        # It removes one digest only. What the earlier one wanted to remove may be another; and without the earlier copy
        # the tag has what was there before, which is removed, or left, in place of what was copied.
        return isinstance(command, RemoveTag) and command.digest == later.digest
    if later.options.overwrite == "never":
        return False  # It leaves a tag that is there, so whoever came first is to be there first.
    if isinstance(command, RemoveTag):
        return True
    # What is there now gets a tag of its own only by one that keeps a backup.
    return command.options.overwrite != "backup" or later.options.overwrite == "backup"


def _end(command_id: str, outcome: Outcome) -> Envelope[Frozen]:
    return known_now(outcome, id_=end_id(command_id), source=SOURCE, subject=str(outcome.target))
