"""Whole histories played by a seed: the real core, codec, shell and workers on a log in memory, and a nemesis.

In each round things happen outside, and workers live a life that may end at any step: killed, with a torn table, with a
lost one, beside a twin that believes it still owns the partitions, on a log that fails before or after it wrote. Then
nothing goes wrong any more, and every invariant of the fault catalogue that the topics can show must hold.
"""

import asyncio
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from agents.table import MemoryTable
from schemas.commands import CopyImage, InspectImage
from schemas.envelope import Envelope
from schemas.events import TransferCompleted, TransferSkipped
from schemas.references import Frozen, Reference
from streams.log import Append, Position
from streams.memory_log import MemoryLog
from streams.topics import EVENTS
from tests.support.builders import (
    completed,
    deleted,
    digest,
    policy,
    proposed,
    pushed,
    record_events,
    rule,
    rule_on,
    skipped,
    ticked,
)
from tests.support.builders import failed as failed_copy
from tests.support.checkers import check_all, check_ended, check_origins, traces
from tests.support.facts import inspected, scanned
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, Place, Run, TearingTable, until
from tests.unit.agents.transferring import worker
from towline.errors import LogUnavailableError
from towline.failpoints import SITES, FailpointError
from towline.registry import TransferOutcome

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
ROUND_COUNT: Final = 5
ROLES: Final = ("evaluator", "transferrer")

_CHAIN = (
    policy("to-qa", "local/dev/app", "local/qa/app", rule("not-one-of", "latest"), initial_evaluation=False),
    policy("to-prod", "local/qa/app", "remote/app", rule("ends-with", "-stable"), initial_evaluation=False),
    policy("tool", "local/dev/tool", "remote/tool", initial_evaluation=False),
)
_HELD = policy(
    "held", "local/held/app", "local/free/app", rule_on("vulnerability_critical", "<=", "0"), initial_evaluation=False
)
SETS: Final = (_CHAIN, (*_CHAIN, _HELD), (_CHAIN[0], _HELD), (*_CHAIN[1:], _HELD))
SOURCES: Final = ("local/dev/app", "local/dev/tool", "local/held/app")
TAGS: Final = ("1.0", "1.1-stable", "latest")
IMAGES: Final = ("one", "two", "three")
POISON: Final = (b"", b"no event", b"{}", b'{"specversion":"1.0"}', b"\xff\xfe")


class FlakyLog(MemoryLog):
    """A log whose appends fail now and then, before they write or after."""

    def __init__(self, random: Random) -> None:
        super().__init__(partitions=PARTITIONS)
        self._random = random
        #: How often of one, twice.
        self.failing = 0.0

    async def append(self, record: Append) -> Position:
        if self._random.random() < self.failing:
            raise LogUnavailableError("the broker is away")
        place = await super().append(record)
        if self._random.random() < self.failing:
            raise LogUnavailableError("the broker wrote, and its answer is lost")
        return place

    async def append_all(self, records: Sequence[Append]) -> list[Position]:
        # None is tried behind one that failed: a broker that takes a later one makes decisions late, which is no fault.
        return [await self.append(record) for record in records]


@dataclass
class Life:
    """What befalls a worker in a round."""

    failpoint: str = ""
    loses_table: bool = False
    tears_table: tuple[int, int] | None = None
    losing: frozenset[Place] = frozenset()
    has_twin: bool = False


@dataclass
class Targets:
    """What target tags have. A copy takes a moment, in which its worker may die, before and after it is there."""

    random: Random
    found: dict[Reference, str] = field(default_factory=dict)

    async def carry_out(self, command_id: str, command: CopyImage) -> TransferOutcome:
        await self._moment()
        if self.found.get(command.target) == command.digest:
            return skipped(command_id, command)
        if self.random.random() < 0.05:
            return failed_copy(command_id, command)
        self.found[command.target] = command.digest
        await self._moment()
        return completed(command_id, command)

    async def _moment(self) -> None:
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)


class Simulation:
    """One history of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a history, not a secret
        self.log = FlakyLog(self.random)
        self.targets = Targets(self.random)
        self.told: set[str] = set()
        #: What befell the workers, for whoever reads a failure.
        self.lives: list[tuple[str, Life]] = []
        self._tables = {role: MemoryTable() for role in ROLES}
        self._committed: dict[str, list[Place]] = {role: [] for role in ROLES}
        self._seconds = 0

    async def play(self) -> None:
        """Play all rounds, let everything come to its end, and check."""
        await self._tell(proposed(*SETS[0], reconcile="never"))
        for _ in range(ROUND_COUNT):
            for _ in range(self.random.randint(2, 8)):
                await self._happen()
            self.log.failing = self.random.choice((0.0, 0.0, 0.05, 0.3))
            await self._live()
            self.log.failing = 0.0
        await self._finish()
        await self._check()

    async def _happen(self) -> None:
        kinds: tuple[tuple[Callable[[], Envelope[Frozen]] | None, int], ...] = (
            (self._push, 6),
            (self._deletion, 1),
            (self._scan, 2),
            (self._tick, 2),
            (self._proposal, 1),
            (None, 1),
        )
        make = self.random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
        if make is None:
            await self.log.append(Append(EVENTS, b"key", self.random.choice(POISON), self.random.randrange(PARTITIONS)))
            return
        event = make()
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            await self._tell(event)

    async def _tell(self, event: Envelope[Frozen]) -> None:
        self.told.add(event.id)
        await record_events(self.log, event, partitions=PARTITIONS)

    def _push(self) -> Envelope[Frozen]:
        source, tag, image = (self.random.choice(choices) for choices in (SOURCES, TAGS, IMAGES))
        key = f"push {self.random.randrange(40)} {source} {tag} {image}"
        return pushed(f"{source}:{tag}", image, key=key, media_type=OCI_MANIFEST)

    def _deletion(self) -> Envelope[Frozen]:
        reference = f"{self.random.choice(SOURCES)}:{self.random.choice(TAGS)}"
        return deleted(reference, key=f"delete {reference} {self.random.randrange(10)}")

    def _scan(self) -> Envelope[Frozen]:
        return scanned("local/held/app", self.random.choice(IMAGES))

    def _tick(self) -> Envelope[Frozen]:
        self._seconds += self.random.choice((-60, 0, 30, 30, 3600))
        return ticked(max(0, self._seconds))

    def _proposal(self) -> Envelope[Frozen]:
        return proposed(*self.random.choice(SETS), replaces=self.random.randrange(4), reconcile="never")

    def _draw(self, role: str) -> Life:
        life = Life()
        match self.random.randrange(6):
            case 0 | 1:
                site = self.random.choice([site for site in SITES if site.startswith(f"{role}.")])
                life.failpoint = f"{site}:raise@{self.random.randint(1, 6)}"
            case 2:
                life.tears_table = (self.random.randrange(8), self.random.randrange(3))
            case 3:
                life.loses_table = True
            case 4 if role == "evaluator":
                life.has_twin = True
            case _:
                pass
        if self.random.random() < 0.3:
            places = [(number, self.random.randrange(20)) for number in range(PARTITIONS)]
            life.losing = frozenset(self.random.sample(places, 2))
        self.lives.append((role, life))
        return life

    async def _live(self) -> None:
        """Let each worker live a life; they work at the same time, and end without a word."""
        lives = {role: self._draw(role) for role in ROLES}
        runs: list[tuple[str, Life, Run]] = []
        for role, life in lives.items():
            if life.loses_table:
                self._tables[role], self._committed[role] = MemoryTable(), []
            table = self._tables[role]
            if life.tears_table is not None:
                table = TearingTable(*life.tears_table)
                table.parts = self._tables[role].parts
            if life.has_twin:
                stale = MemoryTable()
                stale.parts = copy.deepcopy(table.parts)
                early = self._committed[role][: self.random.randrange(len(self._committed[role]) + 1)]
                runs.append(("twin", Life(), self._run(role, stale, Life(), early)))
            runs.append((role, life, self._run(role, table, life, self._committed[role])))
        for _, _, run in runs:
            await run.shell.take_over(range(PARTITIONS))
        for _ in range(self.random.randint(1, 3)):
            await asyncio.gather(*(_work(run, life) for _, life, run in runs))
        for role, _, run in runs:
            await run.shell.close()
            if role != "twin":
                # What was acknowledged is committed a moment later, or never.
                kept = len(run.acknowledged) - self.random.randrange(3)
                self._committed[role] += run.acknowledged[: max(0, kept)]

    async def _look(self) -> None:
        """Tell what an image is, in place of an observer, to whoever asked and got no answer."""
        names = {digest(name): name for name in IMAGES}
        found = await traces(self.log)
        for item in found.commands:
            if isinstance(item.data, InspectImage):
                answer = inspected(str(item.data.repository), names[item.data.digest], key=item.id)
                if answer.id not in found.event_ids:
                    await record_events(self.log, answer, partitions=PARTITIONS)

    def _run(self, role: str, table: MemoryTable, life: Life, committed: list[Place]) -> Run:
        if role == "transferrer":
            return worker(self.log, table, self.targets.carry_out, life.failpoint, committed)
        return Run(self.log, table, failpoints=life.failpoint, committed=committed)

    async def _finish(self) -> None:
        """Let workers that nothing befalls do what is left: lag ends (I14), and every command (I9)."""
        runs = [self._run(role, self._tables[role], Life(), self._committed[role]) for role in ROLES]
        for run in runs:
            await run.shell.take_over(range(PARTITIONS))
            await until(lambda run=run: all(map(run.shell.owns, range(PARTITIONS))) or bool(run.failures), "taken over")

        async def is_done() -> bool:
            await self._look()
            for run in runs:
                await run.drain()
                assert run.failures == []
            try:
                await check_ended(self.log)
            except AssertionError:
                return False
            return True

        await eventually(is_done, seconds=20, what=f"an end of every command, after {self.lives}")
        for run in runs:
            await run.drain()
            await run.shell.close()

    async def _check(self) -> None:
        await check_all(self.log)
        await check_origins(self.log, self.told)
        await check_ended(self.log)
        await self._check_targets()

    async def _check_targets(self) -> None:
        """I7: a target tag has what the last of its commands brought there."""
        found = await traces(self.log)
        arrived = {
            item.data.command_id
            for item in found.events
            if isinstance(item.data, TransferCompleted)
            or (isinstance(item.data, TransferSkipped) and item.data.superseded_by is None)
        }
        last = {
            item.data.target: item.data.digest
            for item in found.commands
            if isinstance(item.data, CopyImage) and item.id in arrived
        }
        assert self.targets.found == last


async def _work(run: Run, life: Life) -> None:
    """Let a worker do what is there, until nothing is left or it dies."""
    if run.failures:
        return
    try:
        await run.drain(losing=life.losing)
    except FailpointError as error:
        # A consumer that cannot hand a record over ends the process.
        run.failures.append(error)
