"""The records of a partition against what its checkpoints say: each leaf, and the root at each checkpoint."""

from streams.audit.verifier.alignment import WINDOW, Alignment, Difference, Seen
from streams.audit.verifier.chain import Chain, Placed
from streams.audit.verifier.findings import CHECKPOINTS, DECISIONS, Finding
from streams.audit.verifier.hashing import Tree, leaf_of
from streams.audit.verifier.sealed import SealedLeaves
from streams.audit.verifier.telling import DETAILED_COUNT, findings_of
from streams.log import LogRecord


class Comparison:
    """The records of a partition against what its checkpoints say."""

    def __init__(self, number: int, chain: Chain) -> None:
        self._number = number
        self._sealed = SealedLeaves([*chain.members, *chain.beside])
        self._alignment = Alignment(self._sealed)
        self._tree = Tree()
        self._differences: list[Difference] = []
        self._due = sorted([*chain.members, *chain.beside], key=lambda placed: placed.said.size, reverse=True)
        self._checked = 0
        self._is_off = False
        self.records = 0
        self.unlisted = 0
        self.findings: list[Finding] = []

    @property
    def sealed_count(self) -> int:
        """How many records the checkpoints cover."""
        return len(self._sealed)

    @property
    def unsealed_count(self) -> int:
        """How many records stand after those."""
        return self._alignment.beyond

    def take(self, batch: list[LogRecord]) -> None:
        """Compare further records."""
        self.records += len(batch)
        seen = [Seen(leaf_of(record), record.offset) for record in batch]
        for item in self._alignment.take(seen):
            self._add(item)

    def finish(self) -> None:
        """Compare what is left, and say what was found."""
        for item in self._alignment.end():
            self._add(item)
        first, stop = self._alignment.index, len(self._sealed)
        is_long = stop - first > WINDOW
        if not is_long:
            # One by one, since some may stand elsewhere.
            self._differences += self._alignment.tail()
        self.findings += findings_of(self._number, self._differences)
        if is_long:
            text = f"the topic ends before records {first} to {stop - 1}"
            self.findings.append(Finding("tail-missing", DECISIONS, self._number, None, first, text, stop - first))

    def _add(self, item: bytes | Difference) -> None:
        if isinstance(item, Difference):
            self._keep(item)
            if item.sealed is None:
                return
            item = item.sealed
        self._tree.add(item)
        while self._due and self._due[-1].said.size == self._tree.size:
            self._check_root(self._due.pop())

    def _keep(self, difference: Difference) -> None:
        if len(self._differences) < 100 * DETAILED_COUNT:
            self._differences.append(difference)
        else:
            self.unlisted += 1

    def _check_root(self, placed: Placed) -> None:
        """Compare a root with the tree over what was sealed; where that is not known, over what is there."""
        said = placed.said
        unknown = self._sealed.unknown_in(self._checked, said.size)
        if self._is_off or said.root == self._tree.root():
            self._checked = said.size
            return
        self._is_off = True
        if unknown is not None:
            first, stop = unknown
            text = f"of records {first} to {stop - 1}, whose checkpoint is missing, not all are what was sealed"
            finding = Finding("record-changed", DECISIONS, self._number, None, first, text, stop - first)
        else:
            topic = placed.file or CHECKPOINTS
            text = f"checkpoint {said.number} commits to other records than the checkpoints of the topic do"
            finding = Finding("checkpoints-contradict", topic, self._number, placed.place, said.number, text)
        self.findings.append(finding)
