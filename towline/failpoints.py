"""Failpoints: named places where a test makes the process die, fail, wait or lose something.

``TOWLINE_FAILPOINTS=evaluator.decisions_acked:kill@3,transfer.blob:delay@1`` names a site, an action and the hit at
which it acts (``@3``: the third; ``@3+50``: the third and the 50 after it). Without the setting a site costs one
dictionary lookup. Every site is declared in :data:`SITES`; a test enumerates them.
"""

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from towline.errors import SettingsError

Action = Literal["kill", "raise", "delay", "hang", "drop"]

#: Every site, with the moment that it marks. W01 and W02 are the steps of the fault catalogue.
SITES: Final[dict[str, str]] = {
    "evaluator.fetched": "W01: a record came out of the consumer",
    "evaluator.decided": "W01: decisions are made, nothing is written",
    "evaluator.effects_acked": "W01: decisions and commands are acknowledged by the broker",
    "evaluator.journal_written": "W01: the journal is in the table, the entries are not",
    "evaluator.table_written": "W01: the table is written, the record is not acknowledged",
    "evaluator.acked": "W01: the record is acknowledged, its offset is not committed",
    "transferrer.fetched": "W02: a command came out of the consumer",
    "transferrer.effects_acked": "the transferrer has no effects before its table",
    "transferrer.decided": "W02: a command is accepted, not yet persisted",
    "transferrer.journal_written": "W02: the journal is in the table, the entry is not",
    "transferrer.table_written": "W02: the command is persisted, not acknowledged",
    "transferrer.acked": "W02: the command is acknowledged, its offset is not committed",
    "transferrer.outcome_acked": "W02: the outcome is in the log, the table does not know it",
    "observer.fetched": "a command came out of the consumer",
    "observer.decided": "a command is accepted, not yet persisted",
    "observer.effects_acked": "the observer has no effects before its table",
    "observer.journal_written": "the journal is in the table, the entry is not",
    "observer.table_written": "the command is persisted, not acknowledged",
    "observer.acked": "the command is acknowledged, its offset is not committed",
    "observer.outcome_acked": "what was seen is in the log, the table does not know it",
    "notifier.fetched": "W04: a command came out of the consumer",
    "notifier.decided": "W04: a command is accepted, not yet persisted",
    "notifier.effects_acked": "the notifier has no effects before its table",
    "notifier.journal_written": "W04: the journal is in the table, the entry is not",
    "notifier.table_written": "W04: the command is persisted, not acknowledged",
    "notifier.acked": "W04: the command is acknowledged, its offset is not committed",
    "notifier.post_next": "W04: the webhook is about to be sent",
    "notifier.answered": "W04: the receiver has answered, the outcome is not in the log",
    "notifier.outcome_acked": "W04: the outcome is in the log, the table does not know it",
    "transfer.authorised": "W02: the registry gave access",
    "transfer.blob_chunk": "W02: in the middle of a blob, upload session open",
    "transfer.blobs_copied": "W02: after the last blob",
    "transfer.children_copied": "W02: after the child manifests of an index",
    "transfer.referrers_copied": "W02: after what belongs to the image",
    "transfer.attested": "W02: what is attested is at the target, the tag is not written",
    "transfer.tag_next": "W02: everything is there, the tag is not written",
    "transfer.tag_written": "W02: the tag is written, not verified",
    "transfer.verified": "W02: the tag is verified, the outcome is not in the log",
    "removal.tag_next": "the target tag is to be removed, and is still there",
    "removal.tag_removed": "the target tag is removed, not looked at again",
    "intake.fetched": "an inbound record came out of the consumer",
    "intake.decided": "its events are made, nothing is written",
    "intake.effects_acked": "its events are in the log",
    "intake.journal_written": "its offset is in the table",
    "intake.table_written": "the table is written, the record is not acknowledged",
    "intake.acked": "the record is acknowledged, its offset is not committed",
    "sealer.fetched": "W05: a decision came out of the consumer",
    "sealer.decided": "W05: decisions are hashed, nothing is written",
    "sealer.effects_acked": "the sealer has no effects before its table",
    "sealer.journal_written": "W05: the journal is in the table, the entries are not",
    "sealer.table_written": "W05: the table is written, no checkpoint is made",
    "sealer.acked": "W05: the decisions are acknowledged, their offset is not committed",
    "sealer.checkpoint_next": "W05: a checkpoint is made, and not yet in the topic",
    "sealer.checkpoint_acked": "W05: the checkpoint is in the topic, the table does not know it",
    "gateway.body_read": "W03: the delivery is read, nothing is written",
    "gateway.events_acked": "W03: its events are in the log, the sender has no answer",
    "shell.guard": "the gap guard is about to look (drop: it does not)",
}


@dataclass(frozen=True, slots=True)
class _Armed:
    action: Action
    first: int
    last: int


class FailpointError(Exception):
    """Raised by a site whose action is ``raise``. Not ours to handle: it stands for any bug."""


class Failpoints:
    """The armed sites of a process."""

    def __init__(self, setting: str = "") -> None:
        self._armed = dict(_parse(entry) for entry in filter(None, setting.split(",")))
        self._hits: Counter[str] = Counter()

    async def hit(self, site: str) -> bool:
        """Mark that execution reached ``site``.

        Returns True when the action is ``drop``: the caller then leaves out what the site guards.

        Raises:
            FailpointError: the action is ``raise``.
        """
        armed = self._armed.get(site)
        if armed is None:
            return False
        self._hits[site] += 1
        if not armed.first <= self._hits[site] <= armed.last:
            return False
        match armed.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise FailpointError(site)
            case "delay":
                await asyncio.sleep(1)
            case "hang":
                await asyncio.Event().wait()
            case "drop":
                return True
        return False


def _parse(entry: str) -> tuple[str, _Armed]:
    site, _, rest = entry.strip().partition(":")
    action, _, hits = rest.partition("@")
    first, _, more = (hits or "1").partition("+")
    if site not in SITES or action not in get_args(Action) or not first.isdigit() or not (more or "0").isdigit():
        raise SettingsError(f"failpoint {entry!r}: write SITE:ACTION@HIT or SITE:ACTION@HIT+MORE")
    return site, _Armed(cast("Action", action), int(first), int(first) + int(more or "0"))
