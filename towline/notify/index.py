"""From an event or decision to the subscriptions that want it."""

from collections import OrderedDict
from typing import Final

import orjson

from schemas.patterns import SourcePattern
from schemas.references import Repository
from schemas.webhooks import Subscription, SubscriptionSet
from towline.notify.causes import Cause
from towline.notify.publishing import REVISION_KEY, SET_KEY
from towline.policy.patterns import can_meet, match
from towline.policy.state.values import StateView

#: Sets whose index is kept. During a publication some partitions of a worker are still under the set before.
INDEX_COUNT_MAX: Final = 8


class SubscriptionIndex:
    """The subscriptions of one set by what they are told of; inactive ones are not there."""

    def __init__(self, subscriptions: SubscriptionSet) -> None:
        self._by_name: dict[str, list[Subscription]] = {}
        for one in sorted(subscriptions.subscriptions, key=lambda one: one.name):
            for name in dict.fromkeys(one.events) if one.inactive is None else ():
                self._by_name.setdefault(name, []).append(one)

    def wanting(self, cause: Cause) -> list[Subscription]:
        """Return who is told of a cause, in the order of their names; of equal names the first."""
        found = {}
        for one in self._by_name.get(cause.name, ()):
            if one.name not in found and (one.repository is None or _is_about(one.repository, cause)):
                found[one.name] = one
        return list(found.values())


def _is_about(pattern: SourcePattern, cause: Cause) -> bool:
    return any(
        match(pattern, place) is not None if isinstance(place, Repository) else can_meet(pattern, place)
        for place in cause.about
    )


_EMPTY: Final = SubscriptionIndex(SubscriptionSet())
#: A cache of a pure function, by the set's digest; what it holds never decides anything.
_INDEXES: Final[OrderedDict[str, SubscriptionIndex]] = OrderedDict()


def subscriptions_in_force(state: StateView) -> tuple[int, SubscriptionIndex]:
    """Return the revision in force and its index, which is built once for each set; 0 before the first publication."""
    value = state.get(REVISION_KEY)
    if value is None:
        return 0, _EMPTY
    index = _INDEXES.get(value["digest"])
    if index is None:
        index = SubscriptionIndex(SubscriptionSet.model_validate_json(orjson.dumps(state.get(SET_KEY))))
        _INDEXES[value["digest"]] = index
        if len(_INDEXES) > INDEX_COUNT_MAX:
            _INDEXES.popitem(last=False)
    return int(value["revision"]), index
