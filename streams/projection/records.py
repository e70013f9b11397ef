"""Records of a projection, by what they are about. Every value is a parameter of its query, never a part of it."""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import orjson

from schemas.references import Reference, Repository
from streams.projection.rows import PROJECTED, RANK, Kept, kept_of
from streams.topics import COMMANDS, DECISIONS, EVENTS

_COLUMNS: Final = "topic, part, pos, copies, body"
_EVENT, _DECISION, _COMMAND = RANK[EVENTS], RANK[DECISIONS], RANK[COMMANDS]
_OF_DIGEST: Final = "number IN (SELECT record FROM digests WHERE digest = ?)"
_AMONG: Final = "(SELECT value FROM json_each(?))"


class Records:
    """What a question is given. Records come in the order of their partitions, each once, unless said otherwise."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def select(self, where: str, values: Sequence[Any], order: str = "part, pos", limit: int = -1) -> list[Kept]:
        """Return the records of a condition on the table's columns; ``values`` are those of its question marks."""
        query = f"SELECT {_COLUMNS} FROM records WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608 - ours, no input
        return [kept_of(*row) for row in self._connection.execute(query, (*values, limit))]

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query of ours."""
        return self._connection.execute(query, values).fetchall()

    def positions(self) -> dict[str, list[int]]:
        """Return how far each topic was read: the next offset of each partition."""
        found: dict[str, list[int]] = {}
        for topic, next_ in self.rows("SELECT topic, next FROM positions ORDER BY topic, part"):
            found.setdefault(PROJECTED[topic], []).append(next_)
        return found

    # -- By what they are about

    def told_of_tag(self, reference: Reference, types: Iterable[str]) -> list[Kept]:
        """Return the events of some types that name this repository and tag."""
        return self.select(
            f"topic = ? AND source_repository = ? AND source_tag = ? AND type IN {_AMONG}",
            (_EVENT, str(reference.repository), reference.tag, _json(types)),
        )

    def told_of_repository(self, repository: Repository, types: Iterable[str]) -> list[Kept]:
        """Return the events of some types about a repository."""
        return self.select(
            f"topic = ? AND source_repository = ? AND type IN {_AMONG}", (_EVENT, str(repository), _json(types))
        )

    def told_of_digests(
        self, repository: Repository, types: Iterable[str], digests: Collection[str | None]
    ) -> list[Kept]:
        """Return the events of some types about some digests of a repository, and about all of it."""
        return self.select(
            f"topic = ? AND source_repository = ? AND type IN {_AMONG} AND (digest IS NULL OR digest IN {_AMONG})",
            (_EVENT, str(repository), _json(types), _json(digests)),
        )

    def told_of_target(self, target: Reference, types: Iterable[str]) -> list[Kept]:
        """Return the outcomes of the commands about a target tag, and the events of some types that name it."""
        return self.select(
            f"topic = ? AND target_repository = ? AND target_tag = ? AND (outcome IS NOT NULL OR type IN {_AMONG})",
            (_EVENT, str(target.repository), target.tag, _json(types)),
        )

    def decisions_on(self, source: Reference) -> list[Kept]:
        """Return the decisions on what was under a tag."""
        return self.select(
            "topic = ? AND source_repository = ? AND source_tag = ?", (_DECISION, str(source.repository), source.tag)
        )

    def looks_at(self, reference: Reference) -> list[Kept]:
        """Return the commands to look at one tag."""
        return self.select(
            "topic = ? AND source_repository = ? AND source_tag = ? AND type = 'tag.resolve'",
            (_COMMAND, str(reference.repository), reference.tag),
        )

    # -- By what led to them

    def commands_of(self, decision_ids: Collection[str]) -> list[Kept]:
        """Return the commands about targets that decisions led to."""
        return self.select(f"topic = ? AND decision_id IN {_AMONG}", (_COMMAND, _json(decision_ids)))

    def reports_of(self, decision_ids: Collection[str]) -> list[Kept]:
        """Return what was reported of the commands that decisions led to."""
        return self.select(f"topic = ? AND decision_id IN {_AMONG}", (_EVENT, _json(decision_ids)))

    def caused_by(self, topic: str, ids: Collection[str], types: Iterable[str]) -> list[Kept]:
        """Return the records of some types that some others led to."""
        return self.select(
            f"topic = ? AND caused_by IN {_AMONG} AND type IN {_AMONG}", (RANK[topic], _json(ids), _json(types))
        )

    def ends_of(self, command_ids: Collection[str]) -> list[Kept]:
        """Return the outcomes of commands."""
        return self.select(f"topic = ? AND caused_by IN {_AMONG} AND outcome IS NOT NULL", (_EVENT, _json(command_ids)))

    def commands_to(self, target: Reference) -> list[Kept]:
        """Return the commands about a target tag."""
        return self.select(
            "topic = ? AND target_repository = ? AND target_tag = ?",
            (_COMMAND, str(target.repository), target.tag),
            order="time, part, pos",
        )

    def by_ids(self, topic: str, ids: Iterable[str]) -> dict[str, Kept]:
        """Return records by their ids; those that are not there are left out."""
        found = self.select(f"topic = ? AND id IN {_AMONG}", (RANK[topic], _json(ids)))
        return {item.envelope.id: item for item in found}

    # -- Of images

    def tell_of_digest(self, digest: str, types: Iterable[str], limit: int) -> list[Kept]:
        """Return records of some types that name a digest, the oldest first."""
        return self.select(
            f"{_OF_DIGEST} AND type IN {_AMONG}", (digest, _json(types)), order="time, topic, part, pos", limit=limit
        )

    def seen_at(self, digest: str, limit: int) -> list[tuple[str, str, str]]:
        """Return repositories and tags that were told to have a digest, with the time of the first word."""
        return self.rows(
            "SELECT source_repository, source_tag, min(time) FROM records "
            "WHERE number IN (SELECT record FROM digests WHERE digest = ?) "
            "AND type IN ('image.pushed', 'image.observed') GROUP BY 1, 2 ORDER BY 3, 1, 2 LIMIT ?",
            (digest, limit),
        )

    # -- Of policies, and names

    def policies(self) -> Kept | None:
        """Return the publication of the highest revision; None before the first."""
        found = self.select(
            "topic = ? AND type = 'policy.published'", (_EVENT,), order="revision DESC, part, pos", limit=1
        )
        return found[0] if found else None

    def revision(self) -> int:
        """Return the highest published revision; 0 before the first."""
        ((revision,),) = self.rows("SELECT max(revision) FROM records WHERE type = 'policy.published'")
        return revision or 0

    def publication(self, revision: int) -> Kept | None:
        """Return the publication of a revision; None when there is none."""
        found = self.select("topic = ? AND type = 'policy.published' AND revision = ?", (_EVENT, revision), limit=1)
        return found[0] if found else None

    def repositories(self) -> list[str]:
        """Return the names of all repositories that any record names."""
        return [name for (name,) in self.rows("SELECT name FROM repositories ORDER BY name")]

    def tags(self, repository: Repository) -> list[str]:
        """Return the tags of a repository that any event told of, or that something was copied to."""
        found = self.rows(
            "SELECT source_tag FROM records WHERE source_repository = ? AND source_tag IS NOT NULL "
            "UNION SELECT target_tag FROM records WHERE target_repository = ? AND outcome IS NOT NULL",
            (str(repository), str(repository)),
        )
        return [tag for (tag,) in found]


def _json(values: Iterable[str | None]) -> str:
    return orjson.dumps(list(values)).decode()
