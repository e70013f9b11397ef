"""What a verification finds: kind, place, and a sentence for people."""

from dataclasses import dataclass
from typing import Final, Literal

DECISIONS: Final = "towline.decisions"
CHECKPOINTS: Final = "towline.checkpoints"

Kind = Literal[
    "record-changed",
    "record-missing",
    "record-inserted",
    "records-reordered",
    "tail-missing",
    "log-rolled-back",
    "checkpoint-forged",
    "checkpoint-missing",
    "checkpoint-misplaced",
    "checkpoint-reordered",
    "checkpoint-replayed",
    "checkpoints-contradict",
    "key-unknown",
    "partition-missing",
    "slice-altered",
]

#: What a kind of finding means, and what to do.
ADVICE: Final[dict[Kind, str]] = {
    "record-changed": "Its bytes are not those that were sealed. Compare with a backup or an export of the topic.",
    "record-missing": "It was sealed and is gone. Restore it from a backup or an export of the topic.",
    "record-inserted": "It stands between sealed records and was not there when they were sealed. Do not rely on it.",
    "records-reordered": "They are as they were sealed, but in another order: somebody wrote the topic anew.",
    "tail-missing": "The topic ends before what was sealed: its tail was cut off, or a broker lost it.",
    "log-rolled-back": "A checkpoint that was kept elsewhere is newer than the topics: they were put back to an "
    "earlier state. Restore a later backup.",
    "checkpoint-forged": "It is not what a sealer wrote: it was changed, or is somebody else's. Find out who can write "
    "to towline.checkpoints.",
    "checkpoint-missing": "Later checkpoints build on it. The records that it covered are compared by the next root "
    "only, unless --against has it.",
    "checkpoint-misplaced": "It is genuine and belongs to another partition: somebody copied it here.",
    "checkpoint-reordered": "It stands after checkpoints that build on it: somebody wrote the topic anew.",
    "checkpoint-replayed": "The same checkpoint stands at an earlier offset, and later ones between: somebody wrote it "
    "again, or a sealer that had been paused did. The records are not in doubt for it.",
    "checkpoints-contradict": "The key signed two histories of one partition: the log was put back and went on from "
    "there, or somebody has the key. Which one is right only backups can tell.",
    "key-unknown": "Name its public key with --key or in audit.public_keys if it is yours, such as the one before a "
    "change of keys. If not, it is forged.",
    "partition-missing": "The topics have fewer partitions than were sealed.",
    "slice-altered": "The file was cut off or edited after it was exported; what else is found tells where. Export "
    "it again.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was sealed."""

    kind: Kind
    #: The topic; or the file of a checkpoint that was kept elsewhere, or of a slice.
    topic: str
    #: -1 for a slice as a whole.
    partition: int
    #: Where it stands in the topic, or, of something that is gone, where the next record is; in a file, the line. None
    #: at the end.
    offset: int | None
    #: Of records: which one it is in the tree, counted from 0. Of checkpoints: their number. None when nobody knows.
    index: int | None
    #: What it is, in a sentence.
    text: str
    #: How many records or checkpoints, from there on.
    count: int = 1

    @property
    def advice(self) -> str:
        """What it means, and what to do."""
        return ADVICE[self.kind]
