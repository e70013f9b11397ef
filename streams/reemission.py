"""Writing again what the evaluator should have written. The evaluator is the only other writer of these records."""

from collections.abc import Sequence

from streams.audit.completeness import Missing
from streams.log import EventLog
from towline import limits


async def re_emit(log: EventLog, missing: Sequence[Missing]) -> int:
    """Write the records, in their order; return how many.

    A second call, or a worker that comes to it meanwhile, writes the same bytes under the same ids: they count once.

    Raises:
        LogUnavailableError: not all were acknowledged in time; a new check tells which are still missing.
    """
    for start in range(0, len(missing), limits.batch_record_count):
        await log.append_all([item.append for item in missing[start : start + limits.batch_record_count]])
    return len(missing)
