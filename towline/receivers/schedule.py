"""When a webhook that could not be delivered is sent again. Pure: the jitter comes from the webhook's id."""

from dataclasses import dataclass
from hashlib import sha256

from towline import limits


@dataclass(frozen=True, slots=True)
class Tries:
    """The attempts of one webhook so far. Moments are in seconds since 1970."""

    made: int
    #: The first attempt.
    first: float
    #: From when on the next one may be made.
    due: float


def after_attempt(
    webhook_id: str, before: Tries | None, now: float, retry_after_seconds: float | None = None
) -> Tries | None:
    """Return how it goes on after an attempt failed just now; None: it was the last one.

    The pauses are those of ``limits.webhook_pauses_seconds``, a little longer or shorter, and at least what the
    receiver asks for. Whatever holds up attempts, none follows when all of the pauses together are over.
    """
    made, first = (0, now) if before is None else (before.made, before.first)
    pauses = limits.webhook_pauses_seconds
    if made >= len(pauses) or now - first > sum(pauses) * (1 + limits.webhook_jitter_share):
        return None
    pause = pauses[made] * (1 + limits.webhook_jitter_share * _jitter(webhook_id, made))
    return Tries(made + 1, first, now + max(pause, retry_after_seconds or 0.0))


def longest_pause_seconds() -> float:
    """Return the longest time from one attempt to the next."""
    return max(limits.webhook_pauses_seconds, default=0.0) * (1 + limits.webhook_jitter_share)


def _jitter(webhook_id: str, made: int) -> float:
    """Return a number from -1 to 1."""
    drawn = int.from_bytes(sha256(f"{webhook_id} {made}".encode()).digest()[:8], "big")
    return 2.0 * drawn / (2**64 - 1) - 1.0
