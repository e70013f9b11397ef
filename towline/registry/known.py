"""Which repositories are known to hold a blob, because this process found it there or brought it there."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from schemas.references import Repository
from towline import limits


@dataclass(frozen=True, slots=True)
class _Known:
    until: float
    source: str | None


class KnownBlobs:
    """What is known, for a while: registries delete what no manifest names.

    Whoever relies on it has to be ready for a registry that misses the blob after all, and then forgets it here.
    ``clock`` returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: By registry and digest, from the name of a repository to what is known.
        self._places: OrderedDict[tuple[str, str], dict[str, _Known]] = OrderedDict()

    def note(self, repository: Repository, digest: str, *, source: str | None = None) -> None:
        """Remember that a repository has a blob; ``source`` is the registry that gave it the bytes, if we saw that."""
        key = (repository.registry, digest)
        places = self._places.setdefault(key, {})
        self._places.move_to_end(key)
        before = places.pop(repository.name, None)
        given_by = source if source is not None or before is None else before.source
        places[repository.name] = _Known(self._clock() + limits.known_blob_seconds, given_by)
        while len(places) > limits.known_blob_place_count:
            del places[next(iter(places))]
        while len(self._places) > limits.known_blob_count:
            self._places.popitem(last=False)

    def has(self, repository: Repository, digest: str) -> bool:
        """Tell whether a repository is known to have a blob."""
        known = self._places.get((repository.registry, digest), {}).get(repository.name)
        return known is not None and known.until > self._clock()

    def origin(self, registry: str, digest: str, *, source: str) -> str | None:
        """Return the repository of a registry that last got a blob from registry ``source``.

        Whoever names a digest does not prove to have its content: without this, a source could name what only some
        repository of the target has, and have it mounted to where others can read it (CVE-2024-39897).
        """
        places, now = self._places.get((registry, digest), {}), self._clock()
        return next(
            (name for name in reversed(places) if places[name].source == source and places[name].until > now), None
        )

    def forget(self, repository: Repository, digest: str) -> None:
        """Know no more whether a repository has a blob."""
        self._places.get((repository.registry, digest), {}).pop(repository.name, None)
