"""Two registries, and what one seed does to the copies between them: rounds of commands that are interrupted."""

import random
from copy import deepcopy

from schemas.canonical import content_id
from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.outcomes import Outcome
from schemas.policies import CopyOptions
from schemas.references import Repository
from streams.local_registry.store import StoredManifest, StoredRepository
from tests.support.images import copy_command
from tests.support.interruptions.checks import Checks
from tests.support.interruptions.drawing import Acts, Drawn
from tests.support.interruptions.images import PLATFORMS, SOURCE, Mixed, put_referrer
from tests.support.interruptions.watch import WatchedTags
from tests.support.interruptions.worker import Lives
from tests.support.pairs import Pair
from tests.support.system import MOMENT
from towline.registry import Attempts, carry_out

#: Between registries, into one repository under two tags, within a registry, and within a repository.
TARGETS = (
    "target/qa/app:1.0",
    "target/qa/app:2.0",
    "target/qa/web:1.0",
    "source/prod/app:1.0",
    f"source/{SOURCE}:5.0",
)


class World:
    """What one seed does, round after round."""

    def __init__(self, seed: int, pair: Pair, mixed: Mixed) -> None:
        self._draw = random.Random(seed)  # noqa: S311 - to be drawn again
        self._pair = pair
        self._mixed = mixed
        self._engine = pair.engine()
        self._number = self._signatures = 0
        self._removed: dict[str, StoredManifest] = {}
        sparse, self._listing = self._draw.random() < 0.6, self._draw.random() < 0.6
        pair.source.store, pair.target.store = deepcopy(mixed.source), deepcopy(mixed.target)
        pair.source.store.sparse = pair.target.store.sparse = sparse
        acts = Acts(
            move_source=self._move_source,
            delete_source=self._delete_source,
            move_targets=self._move_targets,
            collect=self._collect,
            lose_sessions=self._lose_sessions,
            kill=self._kill,
            endure=self._endure,
            sign=self._sign,
        )
        self._drawn = Drawn(self._draw, pair, acts)
        self._checks = Checks(pair, mixed, self._drawn, listing=self._listing)
        self._lives = Lives(self._carry_out)
        for where in sorted({target.partition(":")[0] for target in TARGETS}):
            self._checks.watch(where, self._repository(Repository.parse(where)))

    @property
    def story(self) -> list[str]:
        """What happens in this round, for whoever reads a failure."""
        commands = [
            f"{command.digest[7:15]} to {command.target} {command.options}" for command in self._lives.commands.values()
        ]
        return [*self._drawn.story, *commands]

    async def round(self) -> None:
        """Interrupt copies, let the faults stop, copy again; check what came of both."""
        self._removed = {}
        commands = self._commands()
        data = [item.data for item in commands]
        self._drawn.install(self._draw.choice((0, 1, 1, 2, 2, 3)), data, listing=self._listing)
        self._checks.begin(data)
        await self._lives.end_all(commands)
        self._checks.check_ends(self._lives.commands, self._lives.ends)
        self._checks.check_targets(self._lives.commands, self._lives.ends)
        self._drawn.stop(listing=self._listing)
        self._source().manifests.update(self._removed)
        last = {command.target: command for command in data}
        again = [self._envelope(command) for command in last.values()]
        self._checks.begin([item.data for item in again])
        self._drawn.kinds.clear()
        await self._lives.end_all(again)
        self._checks.check_ends(self._lives.commands, self._lives.ends)
        self._checks.check_arrived(self._lives.commands, self._lives.ends)
        self._checks.check_targets(self._lives.commands, self._lives.ends)
        self._checks.check_content()

    async def close(self) -> None:
        """Stop what still runs."""
        await self._lives.close()

    def _commands(self) -> list[Envelope[CopyImage]]:
        """Draw commands, some for the same target tag."""
        targets = self._draw.sample(TARGETS, self._draw.choice((1, 1, 2, 2, 3)))
        count = max(len(targets), self._draw.choice((1, 2, 2, 3, 4)))
        chosen = [*targets, *self._draw.choices(targets, k=count - len(targets))]
        return [self._envelope(self._command(target)) for target in chosen]

    def _command(self, target: str) -> CopyImage:
        where, _, tag = target.rpartition(":")
        present = self._repository(Repository.parse(where)).tags.get(tag)
        name = self._draw.choice([name for name, digest in sorted(self._mixed.images.items()) if digest != present])
        options = CopyOptions(
            platforms=PLATFORMS[:1] if "platforms" in name and self._draw.random() < 0.6 else (),
            referrers=self._draw.random() < 0.8,
            overwrite=self._draw.choices(("if-different", "backup", "never"), (6, 2, 1))[0],
        )
        return copy_command(f"source/{SOURCE}:1.0", self._mixed.images[name], target, **options.model_dump())

    def _envelope(self, command: CopyImage) -> Envelope[CopyImage]:
        self._number += 1
        identity = content_id("interrupted", str(self._number))
        return Envelope(id=identity, source="tests", subject=str(command.target), time=MOMENT, data=command)

    async def _carry_out(self, command_id: str, command: CopyImage) -> Outcome:
        pauses: list[float] = []

        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        try:
            attempts = Attempts(sleep=pause, jitter=lambda: 1.0)
            return await carry_out(command_id, command, self._engine, attempts=attempts)
        finally:
            self._checks.note_pauses(len(pauses))

    def _source(self) -> StoredRepository:
        return self._pair.source.store.repositories[SOURCE]

    def _repository(self, where: Repository) -> StoredRepository:
        store = (self._pair.source if where.registry == "source" else self._pair.target).store
        return store.repositories[where.name]

    def _move_source(self) -> None:
        tags = self._source().tags
        assert isinstance(tags, WatchedTags)
        tags.put_by_others("1.0", self._mixed.other)

    def _delete_source(self) -> None:
        digest = next(iter(self._lives.commands.values())).digest
        if (removed := self._source().manifests.pop(digest, None)) is not None:
            self._removed[digest] = removed

    def _move_targets(self) -> None:
        for command in self._lives.commands.values():
            tags = self._repository(command.target.repository).tags
            assert isinstance(tags, WatchedTags)
            tags.put_by_others(command.target.tag, self._mixed.other)

    def _collect(self) -> None:
        """Collect what no manifest of a target names, as registries do from time to time."""
        for command in self._lives.commands.values():
            repository = self._repository(command.target.repository)
            named = {entry["digest"] for manifest in repository.manifests.values() for entry in manifest.references()}
            if command.target.repository.name != SOURCE:
                repository.blobs &= named

    def _lose_sessions(self) -> None:
        self._pair.source.store.uploads.clear()
        self._pair.target.store.uploads.clear()

    def _sign(self) -> None:
        self._signatures += 1
        for command in self._lives.commands.values():
            put_referrer(self._pair.source.store, command.digest, f"signature {self._signatures}")

    def _endure(self) -> None:
        self._checks.wrong.append("a source that dribbled was read to its end")

    def _kill(self) -> None:
        if self._draw.random() < 0.7:
            # The next process knows nothing of this one; else only the partitions move away and come back.
            self._engine = self._pair.engine()
        self._lives.kill(self._draw.choice((0, 0, 1, 2, 5, 10, 20, 50)))
