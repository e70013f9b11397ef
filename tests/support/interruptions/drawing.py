"""Which faults a round has: drawn, put into place, counted, and what they excuse."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from schemas.commands import CopyImage
from schemas.descriptors import OCI_INDEX
from tests.support.faults import Alter, Answer, Before, Break, Fault, Faults
from tests.support.interruptions.faults import (
    Challenge,
    Counted,
    Dribble,
    Reset,
    longer,
    lying,
    shorter,
    unlisted,
    wrong,
)
from tests.support.pairs import Pair

BLOB = r"/blobs/sha(256|512):"
UPLOAD = r"/blobs/uploads/\w+\?"
TAG = r"/manifests/\d\.0\?"
MANIFEST = r"/manifests/sha(256|512):"
LISTING = "/referrers/"

Side = Literal["from", "to"]
Place = tuple[Side, str, str]

#: What a copy asks for, and where.
CONTENT: tuple[Place, ...] = (("from", "GET", MANIFEST), ("from", "GET", BLOB))
ATTACHED: tuple[Place, ...] = (("from", "GET", LISTING), ("from", "HEAD", "/manifests/sha256-"))
NAMES: tuple[Place, ...] = (("to", "HEAD", TAG), ("to", "PUT", TAG))
OPENING: Place = ("to", "POST", "/uploads/")
SESSION: tuple[Place, ...] = (("to", "PUT", UPLOAD),)
WRITES: tuple[Place, ...] = (
    ("to", "HEAD", BLOB),
    OPENING,
    ("to", "PUT", MANIFEST),
    ("to", "DELETE", UPLOAD),
    *SESSION,
)
PLACES = (*CONTENT, *ATTACHED, *NAMES, *WRITES)

#: The kinds that may also last until the attempts are spent, and how often they do.
LASTING = frozenset({"error", "rate limit", "reset", "cut", "spoilt", "wrong bytes", "token expired", "refused"})
LASTING_SHARE = 0.15
FOR_EVER = 1_000_000

#: For good is what nobody else can help: the cause of a failure that is not worth a retry, by the kind of fault.
EXCUSED = {
    "target moves": "tag-moved",
    "tag is late": "tag-moved",
    "garbage": "protocol",
    "source deleted": "source-gone",
    "collected": "content-missing",
    "token expired": "unauthorised",
    "refused": "denied",
}

#: The kinds of which one fault may fail several requests.
BROAD = frozenset({"session lost", "collected", "source deleted", "token expired", "killed"})


@dataclass
class Acts:
    """What faults do beside breaking answers."""

    move_source: Callable[[], None]
    delete_source: Callable[[], None]
    move_targets: Callable[[], None]
    collect: Callable[[], None]
    lose_sessions: Callable[[], None]
    kill: Callable[[], None]
    endure: Callable[[], None]
    sign: Callable[[], None]


@dataclass
class Drawn:
    """The faults of one round."""

    draw: random.Random
    pair: Pair
    acts: Acts
    #: Upload sessions of which no client was ever told, over all rounds.
    unheard: set[str] = field(default_factory=set)
    #: What was drawn, for whoever reads a failure.
    story: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    met: int = 0
    #: Whether blobs were ever collected: a worker that knew them writes a manifest in vain, and then brings them again.
    collected: bool = False

    def install(self, count: int, commands: list[CopyImage], *, listing: bool) -> None:
        """Put so many faults into the way of these commands; ``listing``: the target lists referrers."""
        self.story, self.kinds, self.met = [], set(), 0
        targets = sorted({command.target.repository.registry for command in commands})
        for _ in range(count):
            self._one(self.draw.choice(targets), commands)
        self._always(listing=listing)

    def stop(self, *, listing: bool) -> None:
        """From now on nothing happens any more."""
        for faults in (self.pair.source_faults, self.pair.target_faults):
            faults.stop()
        self._always(listing=listing)

    def _always(self, *, listing: bool) -> None:
        token = Answer(200, {"content-type": "application/json"}, b'{"token":"for tests"}')
        for faults in (self.pair.source_faults, self.pair.target_faults):
            faults.on("GET", r"^/token\?", token, times=FOR_EVER)
        if not listing:
            self.pair.target_faults.on("GET", LISTING, Answer(404), times=FOR_EVER)
            self.pair.target_faults.on("PUT", "/manifests/", Alter(unlisted), times=FOR_EVER)

    def _one(self, target: str, commands: list[CopyImage]) -> None:
        kinds = self._kinds(commands)
        kind = self.draw.choice([*sorted(kinds), "killed", "killed"])
        places, make = kinds[kind]
        side, method, path = self.draw.choice(places)
        fault, nth, times = make(), self.draw.choice((1, 1, 1, 1, 2, 3)), self.draw.choice((1, 1, 2, 3))
        if kind in LASTING and self.draw.random() < LASTING_SHARE:
            times = FOR_EVER
        where = "source" if side == "from" else target
        self.story.append(f"{kind} {times} times from request {nth} on: {where} {method} {path} {fault}")
        self.kinds.add(kind)
        self.collected = self.collected or kind == "collected"
        faults: Faults = getattr(self.pair, f"{where}_faults")
        faults.on(method, path, Counted(fault, self._note_met), nth=nth, times=times)

    def _note_met(self) -> None:
        self.met += 1

    def _kinds(self, commands: list[CopyImage]) -> dict[str, tuple[tuple[Place, ...], Callable[[], Fault]]]:
        draw, acts = self.draw, self.acts
        moments: tuple[Literal["at once", "in the request", "before the answer"], ...]
        moments = ("at once", "in the request", "before the answer")
        spoilt = (shorter, longer, wrong)
        kinds: dict[str, tuple[tuple[Place, ...], Callable[[], Fault]]] = {
            "error": (PLACES, lambda: Answer(draw.choice((500, 502, 503, 504)), body=b"<html>busy</html>")),
            "rate limit": (PLACES, lambda: Answer(429, draw.choice(({"retry-after": "7"}, {})))),
            "reset": (PLACES, lambda: Reset(draw.choice(moments), self.unheard)),
            "cut": (CONTENT, lambda: Break(after_bytes=draw.randint(0, 5000))),
            "dribble": ((CONTENT[1],), lambda: Dribble(acts.endure)),
            "spoilt": (CONTENT, lambda: Alter(draw.choice(spoilt))),
            "wrong bytes": ((CONTENT[1],), lambda: Alter(wrong)),
            "lying": ((*CONTENT, WRITES[2], *SESSION), lambda: Alter(lying)),
            "token expired": (PLACES, Challenge),
            "refused": (WRITES, lambda: Answer(403)),
            "session lost": (SESSION, lambda: Before(acts.lose_sessions)),
            "session refused": (SESSION, lambda: Answer(416)),
            "source moves": (CONTENT, lambda: Before(acts.move_source)),
            "target moves": ((*CONTENT, *NAMES), lambda: Before(acts.move_targets)),
            "collected": ((("to", "PUT", MANIFEST), NAMES[1]), lambda: Before(acts.collect)),
            "signed late": ((*CONTENT, *ATTACHED, *NAMES), lambda: Before(acts.sign)),
            "killed": ((*PLACES, OPENING, OPENING, OPENING), lambda: Before(acts.kill)),
            "garbage": ((ATTACHED[0],), lambda: Answer(200, {"content-type": OCI_INDEX}, b"{")),
        }
        if all(command.source.repository != command.target.repository for command in commands):
            kinds["source deleted"] = (CONTENT, lambda: Before(acts.delete_source))
        if all(command.options.overwrite == "if-different" for command in commands):
            kinds["tag is late"] = ((NAMES[0],), lambda: Answer(404))
        return kinds
