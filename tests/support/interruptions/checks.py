"""What must hold of copies, however they were interrupted (fault catalogue: I7, I8, I9, I13, I15)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.commands import CopyImage
from schemas.events import TransferCompleted, TransferFailed, TransferSkipped
from schemas.outcomes import Outcome
from streams.local_registry.store import StoredRepository
from tests.support.interruptions.drawing import BROAD, EXCUSED, UPLOAD, Drawn
from tests.support.interruptions.images import SOURCE, Mixed, referrers_of
from tests.support.interruptions.needs import missing_of
from tests.support.interruptions.watch import WatchedTags, is_in_order
from tests.support.interruptions.worker import supersedes
from tests.support.pairs import Pair
from towline import limits
from towline.policy.arrival import attached_to
from towline.registry.blobs import digest_of

#: Digits of the digest in the name of a backup.
_BACKUP_DIGITS = 12

#: With these nobody can tell what was at a target a moment before it was written.
_RACED = frozenset({"target moves", "tag is late"})

Commands = Mapping[str, CopyImage]
Ends = Mapping[str, list[Outcome]]


@dataclass
class _Target:
    """A target tag in one round."""

    before: str | None
    commands: list[CopyImage] = field(default_factory=list)
    written: list[str] = field(default_factory=list)


class Checks:
    """The promises, checked while the copies run and after them. ``listing``: the target lists referrers by itself."""

    def __init__(self, pair: Pair, mixed: Mixed, drawn: Drawn, *, listing: bool) -> None:
        self._pair = pair
        self._mixed = mixed
        self._drawn = drawn
        self._listing = listing
        self._repositories: dict[str, StoredRepository] = {}
        self._targets: dict[tuple[str, str], _Target] = {}
        self._pauses = 0
        #: What was seen while the copies ran and must not be.
        self.wrong: list[str] = []
        self._requests_before = (0, 0)

    def watch(self, where: str, repository: StoredRepository) -> None:
        """Judge each write of a tag in a repository from now on."""
        self._repositories[where] = repository
        repository.tags = WatchedTags(repository.tags, lambda *write: self._judge(where, *write))

    def begin(self, commands: Iterable[CopyImage]) -> None:
        """Expect these commands, and no others."""
        self._targets, self._pauses = {}, 0
        self._requests_before = (len(self._pair.source_faults.requests), len(self._pair.target_faults.requests))
        for command in commands:
            where, tag = str(command.target.repository), command.target.tag
            before = self._repositories[where].tags.get(tag)
            self._targets.setdefault((where, tag), _Target(before)).commands.append(command)

    def note_pauses(self, count: int) -> None:
        """Take note of how often one copy was tried again."""
        assert count < limits.transfer_attempt_count + limits.rate_limit_wait_count
        self._pauses += count

    def check_ends(self, commands: Commands, ends: Ends) -> None:
        """Check that each command ended once, as its faults allow, and not before its attempts were spent."""
        for command_id, command in commands.items():
            (outcome,) = ends[command_id]
            if isinstance(outcome, TransferFailed):
                self._check_failure(command, outcome)
            elif isinstance(outcome, TransferSkipped) and outcome.superseded_by is not None:
                last_id, last = [item for item in commands.items() if item[1].target == command.target][-1]
                assert outcome.superseded_by == last_id
                assert supersedes(last, command)
        if not self._drawn.kinds & BROAD:
            assert self._pauses <= self._drawn.met, "tried again without a fault"
        if not self._drawn.kinds:
            self._check_each_blob_was_sent_once()

    def check_targets(self, commands: Commands, ends: Ends) -> None:
        """Check that each target tag is old or right, named after its content, and no upload session is left."""
        assert self.wrong == [], self.wrong
        by_target = {(str(it.target.repository), it.target.tag): (it, ends[key][0]) for key, it in commands.items()}
        for place, target in self._targets.items():
            found, (last, outcome) = self._repositories[place[0]].tags.get(place[1]), by_target[place]
            whole = [self._whole(digest, target.commands) for digest in target.written]
            assert is_in_order(whole, [command.digest for command in target.commands])
            moved = {self._mixed.other} if "target moves" in self._drawn.kinds else set()
            assert found in {target.before, *target.written, *moved}
            if not self._drawn.kinds & _RACED and not isinstance(outcome, TransferFailed):
                assert found in self._right(last), f"{place} does not have what the last command brought there"
        self._check_sessions()
        if not any(self._may_be_refused(it) for it in commands.values()) and not self._drawn.collected:
            violations = [*self._pair.source.violations, *self._pair.target.violations]
            assert violations == [], violations
        self._pair.source.violations.clear()
        self._pair.target.violations.clear()

    def check_arrived(self, commands: Commands, ends: Ends) -> None:
        """Check that every command did what it is for, now that nothing happens any more."""
        for command_id, command in commands.items():
            (outcome,) = ends[command_id]
            repository = self._repositories[str(command.target.repository)]
            found = repository.tags.get(command.target.tag)
            if isinstance(outcome, TransferFailed):
                assert outcome.cause == "target-exists", outcome
                assert outcome.attempts == 1, outcome
                assert found == self._targets[str(command.target.repository), command.target.tag].before
                continue
            assert isinstance(outcome, TransferCompleted | TransferSkipped)
            assert found == outcome.arrived_digest
            assert found in self._right(command)
            if isinstance(outcome, TransferCompleted):
                assert self._missing([command], found) == []
            if found == command.digest and command.options.referrers:
                belonging = referrers_of(self._pair.source.store.repositories[SOURCE], command.digest)
                assert belonging <= repository.manifests.keys(), "what came late was not brought"

    def check_content(self) -> None:
        """Check that everything in the registries is what its digest says, and has all that it names."""
        for side in (self._pair.source, self._pair.target):
            blobs = side.store.blobs
            assert {digest_of(content, digest.partition(":")[0]) for digest, content in blobs.items()} == blobs.keys()
            for repository in side.store.repositories.values():
                for digest, manifest in repository.manifests.items():
                    assert digest_of(manifest.content, digest.partition(":")[0]) == digest
                    assert side.store.sparse or repository.missing(manifest) == []

    def _judge(self, where: str, tag: str, digest: str, before: str | None) -> None:
        if attached_to(tag) is not None or "-backup-" in tag:
            return
        target = self._targets.get((where, tag))
        wanted = [command for command in target.commands if digest in self._right(command)] if target else []
        if target is None or not wanted:
            self.wrong.append(f"{where}:{tag} became {digest}, which nobody wanted")
            return
        target.written.append(digest)
        if missing := self._missing(wanted, digest):
            self.wrong.append(f"{where}:{tag} became {digest} before {missing}")
        if before in {None, digest} or self._drawn.kinds & _RACED:
            return
        if all(command.options.overwrite == "never" for command in wanted):
            self.wrong.append(f"{where}:{tag} was overwritten")
        backup = f"{tag}-backup-{before.partition(':')[2][:_BACKUP_DIGITS]}" if before else ""
        kept = self._repositories[where].tags.get(backup) == before
        if all(command.options.overwrite == "backup" for command in wanted) and not kept:
            self.wrong.append(f"{where}:{tag} was overwritten without a backup")

    def _right(self, command: CopyImage) -> set[str]:
        """Return what a target tag may have by a command: its digest, or else the index of the wanted platforms."""
        if not self._may_be_refused(command):
            return {command.digest}
        reduced = self._mixed.reduced(command.digest, command.options)
        return {command.digest, reduced.get(command.digest, command.digest)}

    def _whole(self, digest: str, commands: list[CopyImage]) -> str:
        """Return what was commanded when ``digest`` was written."""
        return next((command.digest for command in commands if digest in self._right(command)), digest)

    def _missing(self, commands: list[CopyImage], digest: str) -> list[str]:
        where = str(commands[0].target.repository)
        lists = self._listing or not where.startswith("target/")
        return missing_of(self._repositories[where], self._mixed, commands, digest, lists=lists)

    def _check_failure(self, command: CopyImage, outcome: TransferFailed) -> None:
        enough = limits.transfer_attempt_count
        if outcome.retryable:
            assert outcome.attempts >= enough, outcome
            assert self._drawn.kinds & BROAD or self._drawn.met >= enough, outcome
        else:
            permanent = {EXCUSED[kind] for kind in self._drawn.kinds if kind in EXCUSED}
            permanent |= {"target-exists"} if command.options.overwrite == "never" else set()
            assert outcome.cause in permanent, outcome
        assert "rate limit" in self._drawn.kinds or outcome.attempts <= enough, outcome

    def _may_be_refused(self, command: CopyImage) -> bool:
        return bool(command.options.platforms) and not self._pair.target.store.sparse

    def _check_each_blob_was_sent_once(self) -> None:
        sides = (self._pair.source_faults, self._pair.target_faults)
        for faults, before in zip(sides, self._requests_before, strict=True):
            sent = Counter(it.query for it in faults.requests[before:] if it.method == "PUT" and "/uploads/" in it.path)
            assert all(number == 1 for number in sent.values()), sent

    def _check_sessions(self) -> None:
        for side, faults in (
            (self._pair.source, self._pair.source_faults),
            (self._pair.target, self._pair.target_faults),
        ):
            given_up = {it.path.rpartition("/")[2] for it in faults.matching("DELETE", UPLOAD)}
            left = side.store.uploads.keys() - self._drawn.unheard - given_up
            assert left == set(), "an upload session is left that could be given up"
