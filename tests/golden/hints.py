"""A history of hints: looked at, told again, judged, missing, overtaken, and what nobody looks at. And of notices."""

from schemas.envelope import Envelope
from schemas.references import Frozen
from tests.support.builders import arrived, at, digest, policy, proposed, pushed, rule_on
from tests.support.facts import approved, observed, poll_completed, poll_failed
from tests.support.hints import hinted, look_of, looked, missing, noticed
from towline.policy.contents import contents_of

_APP, _QA, _OTHER = "local/dev/app", "local/qa/app", "local/other/app"
_POLICIES = (
    policy("to-qa", _APP, _QA, deletions="100%"),
    policy("four-eyes", "local/dev/*", "remote/{1}", rule_on("approved", ">=", "1"), initial_evaluation=False),
    policy("onward", _QA, "remote/app", mode="shadow"),
)

_BEFORE = hinted(f"{_APP}:1", time=at(5))
_FIRST = hinted(f"{_APP}:1", actor="ann", key="first", time=at(10))
_AGAIN = hinted(f"{_APP}:1", actor="bob", key="again", time=at(11))
_UNSEEN = hinted(f"{_APP}:2", key="first", time=at(20))
_OVERTAKEN = hinted(f"{_APP}:3", key="overtaken", time=at(30))
_GONE = hinted(f"{_APP}:1", key="gone", time=at(40))
_SIGNED = hinted(f"{_APP}:{digest('three').replace(':', '-')}.sig", time=at(50))
_COPIED = hinted(f"{_QA}:1", time=at(70))

HINTS: tuple[Envelope[Frozen], ...] = (
    # No policy: nobody looks, and the same hint is looked at later.
    _BEFORE,
    proposed(*_POLICIES),
    _BEFORE,
    _FIRST,
    _FIRST,
    _AGAIN,
    looked(f"{_APP}:1", "one", after=_BEFORE, time=at(12)),
    looked(f"{_APP}:1", "one", after=_FIRST, actor="ann", time=at(12)),
    looked(f"{_APP}:1", "one", after=_AGAIN, actor="bob", time=at(12)),
    _FIRST,
    approved(_APP, "one", "four-eyes", "bob", time=at(13)),
    approved(_APP, "one", "four-eyes", "cy", time=at(14)),
    # The registry could not be asked; the first poll finds it, but not as something new.
    _UNSEEN,
    poll_failed(_APP, command_id=look_of(_UNSEEN), time=at(21)),
    observed(f"{_APP}:2", "two", time=at(22)),
    poll_completed(_APP, contents=contents_of({"1": digest("one"), "2": digest("two")}), time=at(22)),
    # Newer word is in the log before the end of the look.
    _OVERTAKEN,
    pushed(f"{_APP}:3", "three", time=at(33)),
    missing(f"{_APP}:3", after=_OVERTAKEN, time=at(32)),
    # Gone, and settled by the next poll.
    _GONE,
    missing(f"{_APP}:1", after=_GONE, time=at(41)),
    poll_completed(_APP, contents=contents_of({"2": digest("two"), "3": digest("three")}), key="settles", time=at(45)),
    # What belongs to an image, and our own copy.
    _SIGNED,
    looked(_SIGNED.subject, "signature", after=_SIGNED, time=at(51)),
    arrived(f"{_QA}:1", "one", hops=1),
    _COPIED,
    looked(f"{_QA}:1", "one", after=_COPIED, actor="towline", time=at(71)),
    hinted(f"{_OTHER}:1", time=at(80)),
    noticed(f"{_APP}:1", "one", counts={"critical": 1, "high": 2}, time=at(90)),
    noticed(f"{_APP}:1", succeeded=False, key="failed", time=at(91)),
)
