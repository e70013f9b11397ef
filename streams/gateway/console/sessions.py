"""Who is logged in at the console. It is kept in memory: whoever restarts the gateway logs everybody out."""

import hashlib
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

#: How long somebody stays logged in, and how many are at once: one more, and the first of them has to log in again.
SESSION_SECONDS: Final = 8 * 3600.0
SESSION_COUNT: Final = 10_000


class _Session(NamedTuple):
    reader: str
    #: In the seconds of ``monotonic``.
    ends_at: float


class Sessions:
    """Readers who logged in, by ids that nobody can guess. ``monotonic`` returns seconds that never go back."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        #: By hashes of the ids, so that the time of a look-up tells nothing about an id. In the order of their ends.
        self._kept: dict[bytes, _Session] = {}

    def begin(self, reader: str) -> str:
        """Return the id of a new session; with too many, the oldest one ends."""
        now = self._monotonic()
        for key, session in list(self._kept.items()):
            if session.ends_at > now and len(self._kept) < SESSION_COUNT:
                break
            del self._kept[key]
        session_id = secrets.token_urlsafe(32)
        self._kept[_key(session_id)] = _Session(reader, now + SESSION_SECONDS)
        return session_id

    def reader_of(self, session_id: str) -> str | None:
        """Return whose session it is; None when there is no such session any more."""
        session = self._kept.get(_key(session_id))
        return None if session is None or session.ends_at <= self._monotonic() else session.reader

    def end(self, session_id: str) -> None:
        """End a session, if there is one of that id."""
        self._kept.pop(_key(session_id), None)


def _key(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).digest()
