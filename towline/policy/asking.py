"""Which sources are asked what they have, and how often."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from schemas.commands import PollCause
from schemas.patterns import SourcePattern
from schemas.policies import Policy
from schemas.references import Repository
from towline.policy.rules.spans import parse_span

NEVER: Final = "never"
_POLL: Final = timedelta(minutes=30)
_RECONCILE: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class AskedSource:
    """A source that is asked again and again."""

    source: SourcePattern
    interval: timedelta
    cause: PollCause


def asked_sources(
    policies: Iterable[Policy], reconcile: str, matching: Callable[[Repository], Iterable[SourcePattern]]
) -> tuple[AskedSource, ...]:
    """Return the sources of policies that are asked by themselves, each once.

    Those that a policy polls, on the shortest of their intervals; the others on that of the set, unless it is
    ``never``. A repository that is asked as part of a glob at least as often is not asked by itself, so that no two
    polls ask it at once. ``matching`` returns the sources that a repository is part of.
    """
    found: dict[SourcePattern, AskedSource] = {}
    for policy in policies:
        source, known = policy.source, found.get(policy.source)
        if policy.poll is None:
            if reconcile != NEVER and known is None:
                found[source] = AskedSource(source, _span(reconcile, _RECONCILE), "reconciliation")
            continue
        interval = poll_interval(policy)
        if known is None or known.cause != "interval" or interval < known.interval:
            found[source] = AskedSource(source, interval, "interval")
    return tuple(asked for asked in found.values() if not _is_covered(asked, found, matching))


def poll_interval(policy: Policy) -> timedelta:
    """Return how long after one poll of its source a policy asks for the next."""
    return _span(policy.poll or "", _POLL)


def _span(text: str, otherwise: timedelta) -> timedelta:
    # The check refuses what is no span, but anybody may write to the log.
    try:
        return parse_span(text)
    except ValueError:
        return otherwise


def _is_covered(
    asked: AskedSource,
    found: dict[SourcePattern, AskedSource],
    matching: Callable[[Repository], Iterable[SourcePattern]],
) -> bool:
    repository = asked.source.repository
    if repository is None:
        return False
    globs = (found.get(source) for source in matching(repository) if source != asked.source)
    return any(glob is not None and glob.interval <= asked.interval for glob in globs)
