"""The transferrer: carries out commands to copy images, one after the other for each target tag."""

from collections.abc import Awaitable, Callable

from agents.command_runner import CommandRunner, Duty, Record
from agents.outcomes import end_id, known_now
from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.events import TransferSkipped
from schemas.outcomes import Outcome
from schemas.references import Frozen
from streams.log import EventLog
from streams.topics import repository_key
from towline import limits
from towline.failpoints import Failpoints

SOURCE = "towline/transferrer"

CarryOut = Callable[[str, CopyImage], Awaitable[Outcome]]


def make_transferrer(
    log: EventLog,
    event_partitions: int,
    carry_out: CarryOut,
    failpoints: Failpoints,
    on_failure: Callable[[BaseException], None],
) -> CommandRunner[CopyImage]:
    """Return the handler that copies images; ``carry_out`` returns how a copy ended."""

    async def copy(command_id: str, command: CopyImage, record: Record) -> Envelope[Frozen]:  # noqa: ARG001 - a Duty's
        outcome = await carry_out(command_id, command)
        return known_now(outcome, id_=end_id(command_id), source=SOURCE, subject=str(outcome.target))

    def superseded(command_id: str, command: CopyImage, later_id: str, later: CopyImage) -> Envelope[Frozen] | None:
        if later.options.overwrite == "never":
            return None  # It leaves a tag that is there, so whoever came first is to be there first.
        if command.options.overwrite == "backup" != later.options.overwrite:
            return None  # What is there now gets a tag of its own only by the earlier one.
        outcome = TransferSkipped(
            **command.outcome_members(command_id),
            reason=f"superseded by the later command {later_id} for {command.target}",
            superseded_by=later_id,
        )
        return known_now(outcome, id_=end_id(command_id), source=SOURCE, subject=str(command.target))

    duty = Duty(
        name="transferrer",
        commands=(CopyImage,),
        ends=(Outcome,),
        key=lambda command: repository_key(command.target.repository),
        queue=lambda command: command.target,
        carry_out=copy,
        superseded=superseded,
        at_a_time=limits.parallel_transfer_count,
        rejects=True,
    )
    return CommandRunner(duty, log, event_partitions, failpoints, on_failure)
