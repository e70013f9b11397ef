"""From the reason of a dead letter to its cause: what a thousand of one kind have in common."""

import re
from typing import Final

#: What differs from one input to the next, and what stands for it; in this order, as the later ones are parts of the
#: earlier.
_DIFFERS: Final = (
    (re.compile(r"'[^']*'|\"[^\"]*\""), "…"),
    (re.compile(r"sha(?:256|512):[0-9a-f]+"), "DIGEST"),
    # References and the paths of files.
    (re.compile(r"[^\s;:,()]*/[^\s;,()]*[^\s;:,()]"), "…"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "ID"),
    # Places in a list, as in events.17.target, and every other number.
    (re.compile(r"\d+"), "N"),
)
_LENGTH_MAX: Final = 300


def cause_of(reason: str) -> str:
    """Return a reason without what differs from one input to the next: quotes, digests, names, ids, numbers."""
    for pattern, general in _DIFFERS:
        reason = pattern.sub(general, reason)
    return " ".join(reason.split())[:_LENGTH_MAX]
