"""A04 on the disk of Apache Kafka: segments that were changed, with right checksums and with wrong ones."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka.record import MemoryRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from schemas.catalogue import encode
from schemas.examples import EXAMPLES
from streams.audit.verifier.checkpoints import read_keys
from streams.audit.verifier.findings import CHECKPOINTS, DECISIONS
from streams.audit.verifier.verify import verify_seals
from streams.kafka_log import KafkaLog
from streams.kafka_read_log import KafkaReadLog
from streams.log import Append, LogRecord
from streams.provision import create_topics
from streams.routing import event_append
from streams.topics import EVENTS
from tests.support.builders import at, pushed
from tests.support.kafka import KafkaNode, apache_kafka
from tests.support.parts import kafka_is_here
from tests.support.tampering import checkpoint_record, seal_all
from tests.unit.audit.sealed import public_pem
from towline.errors import LogError
from towline.settings import KafkaSettings, isolated_environment

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(not kafka_is_here(), reason="needs Apache Kafka: make parts"),
]

KEYS = read_keys([("example.pub", public_pem())])
SEALED, UNSEALED, EVERY = 12, 2, 5

Tamper = Callable[[list[LogRecord]], object]


def flip(records: list[LogRecord]) -> None:
    value = bytearray(records[7].value or b"")
    value[0] ^= 1
    records[7] = records[7]._replace(value=bytes(value))


def swap(first: int, second: int) -> Tamper:
    def change(records: list[LogRecord]) -> None:
        records[first], records[second] = records[second], records[first]

    return change


def forge(records: list[LogRecord]) -> None:
    value = (records[1].value or b"").replace(b'"last_offset":9', b'"last_offset":8')
    records[1] = records[1]._replace(value=value)


#: One partition for each way: the topic, what is done to it, and what is found: kind, offset, index.
WAYS: list[tuple[str, Tamper, list[tuple[str, int | None, int | None]]]] = [
    (DECISIONS, lambda _: None, []),
    (DECISIONS, flip, [("record-changed", 7, 7)]),
    (DECISIONS, lambda it: it.__setitem__(2, it[2]._replace(timestamp_ms=1)), [("record-changed", 2, 2)]),
    (DECISIONS, lambda it: it.pop(3), [("record-missing", 3, 3)]),
    (DECISIONS, lambda it: it.insert(6, it[1]._replace(value=b"new")), [("record-inserted", 6, 6)]),
    (DECISIONS, swap(4, 9), [("records-reordered", 9, 4), ("records-reordered", 4, 9)]),
    (DECISIONS, lambda it: it.__delitem__(slice(8, None)), [("tail-missing", None, 8)]),
    (CHECKPOINTS, forge, [("checkpoint-forged", 1, None), ("checkpoint-missing", 2, 1)]),
    (CHECKPOINTS, lambda it: it.append(it[0]), [("checkpoint-replayed", 3, 0)]),
    (CHECKPOINTS, lambda it: it.pop(1), [("checkpoint-missing", 1, 1)]),
    (CHECKPOINTS, swap(0, 1), [("checkpoint-reordered", 0, 1)]),
    (CHECKPOINTS, lambda it: it.append(checkpoint_record(0, 0, b"{}")), [("checkpoint-forged", 3, None)]),
]


def rewrite(folder: Path, tamper: Tamper) -> None:
    """Write the only segment of a partition anew, a batch for each record; the broker makes its indexes."""
    (segment,) = folder.glob("*.log")
    memory, records = MemoryRecords(segment.read_bytes()), list[LogRecord]()
    while (batch := memory.next_batch()) is not None:
        for item in batch:
            records.append(LogRecord("", 0, item.offset, item.key, item.value, tuple(item.headers), item.timestamp))
    tamper(records)
    segment.write_bytes(b"".join(batch_of(offset, record) for offset, record in enumerate(records)))
    for index in (*folder.glob("*.index"), *folder.glob("*.timeindex"), *folder.glob("*.snapshot")):
        index.unlink()


def batch_of(offset: int, record: LogRecord) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1_000_000,
    )
    added = builder.append(
        0, timestamp=record.timestamp_ms, key=record.key, value=record.value, headers=list(record.headers)
    )
    assert added is not None
    batch = builder.build()
    # Neither the offset nor the leader's epoch is under the checksum.
    batch[:8] = offset.to_bytes(8, "big")
    batch[12:16] = bytes(4)
    return bytes(batch)


async def test_segments_that_were_tampered_with_are_found_out_with_kind_and_place() -> None:
    with apache_kafka() as node:
        settings = KafkaSettings(bootstrap=node.address, partitions=len(WAYS))
        await create_topics(settings)
        async with KafkaLog(settings) as log:
            for partition in range(len(WAYS)):
                await log.append_all(
                    [Append(DECISIONS, b"here/dev", b"decision %d" % n, partition=partition) for n in range(SEALED)]
                )
            await seal_all(log, EVERY)
            for partition in range(len(WAYS)):
                late = [Append(DECISIONS, b"here/dev", b"late %d" % n, partition=partition) for n in range(UNSEALED)]
                await log.append_all(late)
            assert (await verify_seals(log, KEYS)).is_intact
        node.stop()
        for partition, (topic, tamper, _) in enumerate(WAYS):
            rewrite(node.directory / "data" / f"{topic}-{partition}", tamper)
        node.start()
        async with KafkaReadLog(settings) as again:
            result = await verify_seals(again, KEYS)
    for partition, (topic, _, expected) in enumerate(WAYS):
        found = [finding for finding in result.findings if finding.partition == partition]
        assert [(one.kind, one.offset, one.index) for one in found] == expected, partition
        assert {one.topic for one in found} <= {topic}
    assert result.partitions[0].unsealed == UNSEALED


#: Where in a batch its checksum stands, and where its records begin.
CHECKSUM, RECORDS = 17, 61
#: What is flipped, and who reads it.
FLIPS = [
    (DECISIONS, RECORDS + 10, "audit verify --key seal.pub"),
    (DECISIONS, CHECKSUM, "replay verify"),
    (CHECKPOINTS, RECORDS + 300, "audit verify --key seal.pub"),
    (EVENTS, RECORDS + 10, "replay verify"),
]


@contextmanager
def flipped(folder: Path, number: int, place: int) -> Iterator[None]:
    """Flip a bit of a batch in the only segment of a partition, under its checksum, and flip it back."""
    (segment,) = folder.glob("*.log")
    content, start = segment.read_bytes(), 0
    for _ in range(number):
        start += 12 + int.from_bytes(content[start + 8 : start + 12], "big")
    write_byte(segment, start + place, content[start + place] ^ 1)
    try:
        yield
    finally:
        write_byte(segment, start + place, content[start + place])


def write_byte(file: Path, place: int, value: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(bytes([value]))


@pytest.fixture
def node() -> Iterator[KafkaNode]:
    with apache_kafka() as node:
        yield node


async def towline(node: KafkaNode, folder: Path, command: str) -> tuple[int | None, str]:
    """Run a command in a folder; return its exit code and what it says about an error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from streams.cli import main; main()",
        *command.split(),
        cwd=folder,
        env=isolated_environment(TOWLINE_KAFKA_BOOTSTRAP=node.address, PYTHONPATH=str(Path(__file__).parents[2])),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, told = await process.communicate()
    return process.returncode, " ".join(told.decode().split())


async def followed(log: KafkaReadLog, topic: str) -> tuple[list[int], str]:
    """Follow a topic until that fails; return the offsets that came, and why it failed."""
    seen: list[int] = []
    try:
        async for record in log.follow(topic, {0: 0}):
            seen.append(record.offset)
    except LogError as error:
        return seen, str(error)
    raise AssertionError("following never ends by itself")


async def test_a_byte_that_was_flipped_under_its_checksum_is_named_with_its_place_and_what_to_do(
    node: KafkaNode, tmp_path: Path
) -> None:
    """The broker does not look at the checksums of what it sends: whoever reads does."""
    (tmp_path / "seal.pub").write_bytes(public_pem())
    settings = KafkaSettings(bootstrap=node.address, partitions=1)
    await create_topics(settings)
    async with KafkaLog(settings) as log:
        for n in range(SEALED):
            await log.append(event_append(pushed("here/dev/app:1", f"image {n}", time=at(n))))
            await log.append(Append(DECISIONS, b"here/dev", encode(EXAMPLES["decision.made"])))
        await seal_all(log, every=2)
    async with KafkaReadLog(settings) as log:
        for topic, place, command in FLIPS:
            with flipped(node.directory / "data" / f"{topic}-0", 2, place):
                code, error = await towline(node, tmp_path, command)
                assert (code, "Traceback" in error) == (3, False), error
                assert f"{topic}/0@2 cannot be read: the checksum of what stands there is wrong" in error
                assert "restore the partition from a backup" in error
                seen, error = await followed(log, topic)
                assert seen == [0, 1], "what stands before it is not lost with it"
                assert error.startswith(f"{topic}/0@2 cannot be read")
                assert [record.offset async for record in log.read(topic, 0, 3, 5)] == [3, 4]
        code, error = await towline(node, tmp_path, "audit verify --key seal.pub")
        assert code == 0, error
