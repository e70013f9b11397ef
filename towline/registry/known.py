"""Which repositories are known to hold a blob, because this process found it there or brought it there."""

import time
from collections import OrderedDict
from collections.abc import Callable

from schemas.references import Repository
from towline import limits


class KnownBlobs:
    """What is known, for a while: registries delete what no manifest names.

    Whoever relies on it has to be ready for a registry that misses the blob after all, and then forgets it here.
    ``clock`` returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: By registry and digest, from the name of a repository to the time until which it is believed.
        self._places: OrderedDict[tuple[str, str], dict[str, float]] = OrderedDict()

    def note(self, repository: Repository, digest: str) -> None:
        """Remember that a repository has a blob."""
        key = (repository.registry, digest)
        places = self._places.setdefault(key, {})
        self._places.move_to_end(key)
        places.pop(repository.name, None)
        places[repository.name] = self._clock() + limits.known_blob_seconds
        while len(places) > limits.known_blob_place_count:
            del places[next(iter(places))]
        while len(self._places) > limits.known_blob_count:
            self._places.popitem(last=False)

    def has(self, repository: Repository, digest: str) -> bool:
        """Tell whether a repository is known to have a blob."""
        places = self._places.get((repository.registry, digest), {})
        return places.get(repository.name, 0.0) > self._clock()

    def origin(self, registry: str, digest: str) -> str | None:
        """Return the repository of a registry that was last known to have a blob."""
        places = self._places.get((registry, digest), {})
        name = next(reversed(places), None)
        return name if name is not None and places[name] > self._clock() else None

    def forget(self, repository: Repository, digest: str) -> None:
        """Know no more whether a repository has a blob."""
        self._places.get((repository.registry, digest), {}).pop(repository.name, None)
