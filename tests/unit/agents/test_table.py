"""Recovering the table from its changelog: an older entry never replaces a newer one."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import faust
import orjson
import pytest
from faust.types import TP

from agents.table import StateTable

CHANGELOG = "state-changelog"


def entry(offset: int, value: str = "") -> bytes:
    return orjson.dumps({"offset": offset, "value": value})


class Store:
    """Stands in for Faust's store: one mapping for each partition, and how far each has come."""

    def __init__(self) -> None:
        self.parts: dict[int, dict[bytes, bytes]] = {}
        self.persisted: dict[TP, int] = {}

    def _db_for_partition(self, partition: int) -> dict[bytes, bytes]:
        return self.parts.setdefault(partition, {})

    def persisted_offset(self, tp: TP) -> int | None:
        return self.persisted.get(tp)

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        self.persisted[tp] = offset

    def apply_changelog_batch(self, batch: Iterable[Any], **_: Any) -> None:
        for event in batch:
            part = self._db_for_partition(event.message.partition)
            if event.message.value is None:
                part.pop(event.message.key, None)
            else:
                part[event.message.key] = event.message.value
            self.set_persisted_offset(event.message.tp, event.message.offset)


class Changelog:
    """Hands records to a table as Faust's recovery does."""

    def __init__(self, table: StateTable) -> None:
        self._table = table
        self._next: dict[int, int] = {}

    def record(self, value: bytes | None, key: bytes = b"k", partition: int = 0) -> Any:
        offset = self._next.get(partition, 0)
        self._next[partition] = offset + 1
        message = SimpleNamespace(key=key, value=value, partition=partition, offset=offset, tp=TP(CHANGELOG, partition))
        return SimpleNamespace(message=message)

    def apply(self, *records: Any) -> None:
        self._table.apply_changelog_batch(records)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def changelog(store: Store) -> Changelog:
    # Made without its app: of the table, recovery uses nothing but its store.
    table: Any = object.__new__(StateTable)
    table._data, table._to_key, table._to_value = store, None, None
    return Changelog(table)


def test_it_is_the_method_that_faust_calls_in_recovery() -> None:
    assert "apply_changelog_batch" in vars(faust.tables.base.Collection)


def test_a_newer_entry_replaces_an_older_one(changelog: Changelog, store: Store) -> None:
    changelog.apply(changelog.record(entry(1)))
    changelog.apply(changelog.record(entry(2)))
    assert store.parts[0] == {b"k": entry(2)}


@pytest.mark.parametrize("together", [True, False])
def test_what_a_worker_wrote_that_woke_up_late_does_not_replace_a_newer_entry(
    changelog: Changelog, store: Store, together: bool
) -> None:
    records = [changelog.record(entry(5)), changelog.record(entry(3)), changelog.record(entry(4))]
    if together:
        changelog.apply(*records)
    else:
        for record in records:
            changelog.apply(record)
    assert store.parts[0] == {b"k": entry(5)}
    assert store.persisted == {TP(CHANGELOG, 0): 2}, "what was left out would be read again for ever"


def test_of_two_entries_of_one_offset_the_later_stands(changelog: Changelog, store: Store) -> None:
    changelog.apply(changelog.record(entry(-1, "pending")), changelog.record(entry(-1, "ended")))
    assert store.parts[0] == {b"k": entry(-1, "ended")}


@pytest.mark.parametrize("together", [True, False])
def test_a_tombstone_removes_and_whatever_comes_after_it_stands(
    changelog: Changelog, store: Store, together: bool
) -> None:
    records = [changelog.record(entry(5)), changelog.record(None), changelog.record(entry(3))]
    if together:
        changelog.apply(*records[:2])
        assert store.parts[0] == {}
        changelog.apply(records[2])
    else:
        changelog.apply(*records)
    assert store.parts[0] == {b"k": entry(3)}


def test_keys_and_partitions_do_not_mix(changelog: Changelog, store: Store) -> None:
    changelog.apply(
        changelog.record(entry(9), b"a", 0),
        changelog.record(entry(1), b"b", 0),
        changelog.record(entry(2), b"a", 1),
    )
    assert store.parts == {0: {b"a": entry(9), b"b": entry(1)}, 1: {b"a": entry(2)}}
    assert store.persisted == {TP(CHANGELOG, 0): 1, TP(CHANGELOG, 1): 0}
