"""The file of a projection: its tables, and writing records to them together with the place that was reached."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from streams.log import LogRecord
from streams.projection.rows import PROJECTED, RANK, Row, row_of
from towline import limits
from towline.errors import StorageError

T = TypeVar("T")

#: Changes with every change of the tables or of what a row is made of.
VERSION: Final = 1

_TABLES: Final = """
CREATE TABLE positions (
    topic INTEGER, part INTEGER, next INTEGER NOT NULL, last INTEGER, mark BLOB, PRIMARY KEY (topic, part)
) WITHOUT ROWID;
CREATE TABLE records (
    number INTEGER PRIMARY KEY, topic INTEGER NOT NULL, part INTEGER NOT NULL, pos INTEGER NOT NULL, id TEXT NOT NULL,
    type TEXT NOT NULL, time TEXT NOT NULL, actor TEXT, policy TEXT, verdict TEXT, outcome TEXT,
    source_repository TEXT, source_tag TEXT, target_repository TEXT, target_tag TEXT, digest TEXT,
    revision INTEGER, decision_id TEXT, caused_by TEXT, body BLOB NOT NULL, copies INTEGER NOT NULL DEFAULT 1,
    UNIQUE (id, topic)
);
CREATE INDEX by_time ON records (time, topic, part, pos);
CREATE INDEX by_source ON records (source_repository, source_tag, type);
CREATE INDEX by_target ON records (target_repository, target_tag) WHERE target_repository IS NOT NULL;
CREATE INDEX by_decision ON records (decision_id) WHERE decision_id IS NOT NULL;
CREATE INDEX by_cause ON records (caused_by) WHERE caused_by IS NOT NULL;
CREATE INDEX by_actor ON records (actor, time) WHERE actor IS NOT NULL;
CREATE INDEX by_policy ON records (policy, time) WHERE policy IS NOT NULL;
CREATE INDEX by_verdict ON records (verdict, time) WHERE verdict IS NOT NULL;
CREATE INDEX by_outcome ON records (outcome, time) WHERE outcome IS NOT NULL;
CREATE INDEX by_type ON records (type, time);
CREATE TABLE digests (digest TEXT, record INTEGER, PRIMARY KEY (digest, record)) WITHOUT ROWID;
CREATE TABLE repositories (name TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_COLUMNS: Final = ", ".join(Row._fields[:-2])
_VALUES: Final = ", ".join("?" * (len(Row._fields) - 2))

#: A crash repeats records; the first of an id is the one that counts, wherever the reading began.
_INSERT: Final = f"""
INSERT INTO records ({_COLUMNS}) VALUES ({_VALUES})
ON CONFLICT (id, topic) DO UPDATE SET copies = copies + ?,
    part = CASE WHEN (excluded.part, excluded.pos) < (part, pos) THEN excluded.part ELSE part END,
    pos = CASE WHEN (excluded.part, excluded.pos) < (part, pos) THEN excluded.pos ELSE pos END,
    body = CASE WHEN (excluded.part, excluded.pos) < (part, pos) THEN excluded.body ELSE body END
RETURNING number
"""  # noqa: S608 - the columns are ours

#: Errors of SQLite that say that the file is not what we wrote.
_DAMAGED: Final = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})


class ProjectionError(StorageError):
    """The file cannot be read or written: the disk is full, somebody else holds it, or it is not ours to write."""


class UnusableFileError(Exception):
    """The file is damaged, or another version's: it has to be made anew."""


class Reached(NamedTuple):
    """How far a partition was read."""

    #: The offset of the next record to read.
    next: int
    #: The offset of the last record that was read, and a digest of it; None when there was none.
    last: int | None
    mark: bytes | None


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise what SQLite raises as errors of ours; ``name`` is the file's."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorname", None) or ""
        if any(code.startswith(damaged) for damaged in _DAMAGED):
            raise UnusableFileError(f"it is damaged: {error}") from error
        raise ProjectionError(
            f"the projection {name} cannot be used: {error}. It is made from the log alone: free what holds it, or set "
            "data_dir to a folder that can be written"
        ) from error


class Store:
    """The tables of one projection, in a file or in memory. To be used by one thread at a time.

    Other processes may use the same file: whoever comes second passes over what the first has written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.name = "in memory" if path is None else str(path)
        self.connection = self._open()

    def _open(self) -> sqlite3.Connection:
        with translated(self.name):
            if self._path is not None:
                _make_private(self._path)
            return sqlite3.connect(
                self._path or ":memory:",
                timeout=limits.projection_lock_seconds,
                isolation_level=None,
                check_same_thread=False,
            )

    def prepare(self) -> bool:
        """Make the tables unless they are there; tell if they were.

        Raises:
            UnusableFileError: they are those of another version, or damaged.
        """
        with translated(self.name):
            self.connection.execute("PRAGMA journal_mode = WAL")
            # A crash of the machine may lose the last rows, together with the place that was reached.
            self.connection.execute("PRAGMA synchronous = NORMAL")
            # Ids are spread over the whole of an index: what does not fit into memory is read and written again.
            self.connection.execute(f"PRAGMA cache_size = -{limits.projection_cache_kib}")
        with self._writing():
            (version,) = self.connection.execute("PRAGMA user_version").fetchone()
            if version == VERSION:
                return True
            (count,) = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if version or count:
                raise UnusableFileError(f"it is of version {version}, and this is version {VERSION}")
            self._make()
            return False

    def renew(self) -> None:
        """Begin with empty tables in the same file, so that others who have it open go on with them."""
        with self._writing():
            names = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in names:
                quoted = name.replace('"', '""')
                self.connection.execute(f'DROP TABLE "{quoted}"')
            self._make()

    def replace(self) -> None:
        """Begin with another file: this one cannot even be emptied."""
        self.connection.close()
        if self._path is not None:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        self.connection = self._open()
        self.prepare()

    def _make(self) -> None:
        for statement in _TABLES.split(";"):
            self.connection.execute(statement)
        self.connection.execute(f"PRAGMA user_version = {VERSION}")

    def positions(self) -> dict[tuple[str, int], Reached]:
        """Return how far each partition was read."""
        with translated(self.name):
            rows = self.connection.execute("SELECT topic, part, next, last, mark FROM positions")
            return {(PROJECTED[topic], part): Reached(*reached) for topic, part, *reached in rows}

    def asked(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Return the answer to a question, all of whose parts see the same rows.

        Raises:
            UnusableFileError: the file is damaged.
        """
        with translated(self.name):
            self.connection.execute("BEGIN")
            try:
                return question(self.connection)
            finally:
                with suppress(sqlite3.OperationalError):
                    self.connection.execute("COMMIT")

    def write(self, records: Sequence[LogRecord], partitions: int) -> None:
        """Write records of one partition that follow on what it has; what it has already is passed over."""
        place = (RANK[records[0].topic], records[0].partition)
        with self._writing():
            found = self.connection.execute("SELECT next FROM positions WHERE topic = ? AND part = ?", place).fetchone()
            fresh = [record for record in records if found is None or record.offset >= found[0]]
            for record in fresh:
                if (row := row_of(record, partitions)) is not None:
                    self._insert(row)
            if fresh:
                self._reach(*place, Reached(fresh[-1].offset + 1, fresh[-1].offset, mark_of(fresh[-1])))

    def reach(self, topic: str, partition: int, offset: int) -> None:
        """Note that a partition was read to before an offset, where it may have no record of anybody's."""
        with self._writing():
            self.connection.execute(
                "INSERT INTO positions VALUES (?, ?, ?, NULL, NULL) "
                "ON CONFLICT DO UPDATE SET next = max(next, excluded.next)",
                (RANK[topic], partition, offset),
            )

    def _reach(self, topic: int, partition: int, reached: Reached) -> None:
        self.connection.execute("REPLACE INTO positions VALUES (?, ?, ?, ?, ?)", (topic, partition, *reached))

    def _insert(self, row: Row) -> None:
        (number,) = self.connection.execute(_INSERT, (*row[:-2], not row.is_broadcast)).fetchone()
        self.connection.executemany(
            "INSERT OR IGNORE INTO digests VALUES (?, ?)", [(digest, number) for digest in row.digests]
        )
        names = {name for name in (row.source_repository, row.target_repository) if name is not None}
        self.connection.executemany("INSERT OR IGNORE INTO repositories VALUES (?)", [(name,) for name in names])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction: what is written in it is there whole, or not at all."""
        with translated(self.name):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                # On a full disk SQLite may have ended the transaction itself.
                with suppress(sqlite3.OperationalError):
                    self.connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def _make_private(path: Path) -> None:
    """Make an empty file that only its owner can read, unless it is there: what is in the log is not for everybody.

    SQLite gives the files that it has beside it the same rights.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProjectionError(f"cannot make {path.parent}: {error.strerror}") from error
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ProjectionError(f"cannot write {path}: {error.strerror}") from error


def mark_of(record: LogRecord) -> bytes:
    """Return a digest by which a record is known again."""
    return blake2b(b"%d %b" % (record.timestamp_ms, record.value or b""), digest_size=16).digest()
