"""A log of five days of November, for documents: two images of a shop on their way into production.

Deterministic to the byte: made again, it is the same log, sealed by the same key. ``python -m tests.support.november``
writes it into ``examples/november``.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from schemas.canonical import content_id
from schemas.catalogue import encode, type_of
from schemas.envelope import Envelope
from schemas.events import ClockTicked, ImagePushed, PolicyProposed, TransferCompleted
from schemas.facts import ApprovalGranted, ScanCompleted, Vulnerability
from schemas.instants import format_instant
from schemas.policies import PolicySet
from schemas.references import Frozen, Repository
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.secrets.scanner import Scanner
from streams.slices.selection import Choice
from streams.slices.writer import write_slice
from streams.topics import CHECKPOINTS, DECISIONS
from tests.support.builders import digest, policy, rule, rule_on
from tests.support.checkers import records
from tests.support.facts import inspected
from tests.support.world import PARTITIONS, World
from towline.audit.checkpoints import SealingKey
from towline.audit.leaves import record_leaf
from towline.audit.tail import Leaf, Mark, Tail

DEV, QA, PROD = "local/dev/shop", "local/qa/shop", "prod/web/shop"
POLICIES = PolicySet(
    policies=(
        policy("shop-to-qa", DEV, QA, rule("ends-with", "-stable"), rule_on("vulnerability_critical", "<=", "0")),
        policy("shop-to-prod", QA, PROD, rule_on("approved", ">=", "1"), tag="stable"),
    )
)
FOLDER = Path(__file__).parents[2] / "examples" / "november"
_BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)
#: Of no use but here: it seals nothing that anybody relies on.
_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_PEM = _KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class _Clock:
    """What the records of the log say of when they were made."""

    def __init__(self) -> None:
        self.now = _BEGINNING

    def __iter__(self) -> "_Clock":
        return self

    def __next__(self) -> int:
        return round(self.now.timestamp() * 1000)


class _Story:
    def __init__(self) -> None:
        self._clock = _Clock()
        self._world = World(MemoryLog(partitions=PARTITIONS, clock_ms=self._clock))
        self._has: dict[str, str] = {}
        self._tails = [Tail() for _ in range(PARTITIONS)]

    @property
    def log(self) -> MemoryLog:
        return self._world.log

    @property
    def _now(self) -> str:
        return format_instant(self._clock.now)

    def at(self, day: int, hour: int, minute: int = 0) -> None:
        self._clock.now = _BEGINNING + timedelta(days=day - 1, hours=hour, minutes=minute)

    async def tell(self, data: Frozen, subject: str, source: str = "towline/cli") -> None:
        event_id = content_id(type_of(data), subject, self._now)
        await self._world.record(Envelope(event_id, source, subject, self._now, data))

    async def tick(self) -> None:
        await self.tell(ClockTicked(now=self._now), "clock", source="towline/ticker")

    async def push(self, tag: str, image: str) -> None:
        data = ImagePushed(repository=Repository.parse(DEV), tag=tag, digest=digest(image), actor="kim")
        await self.tell(data, f"{DEV}:{tag}", source="towline/hooks/local")
        seen = inspected(DEV, image, time=self._now)
        await self.tell(seen.data, seen.subject, source="towline/observer")

    async def scan(self, image: str, *found: Vulnerability) -> None:
        data = ScanCompleted(
            repository=Repository.parse(DEV), digest=digest(image), scanner="trivy 0.58.0", vulnerabilities=found
        )
        await self.tell(data, f"{DEV}@{digest(image)}")

    async def approve(self, image: str, comment: str) -> None:
        data = ApprovalGranted(
            repository=Repository.parse(QA), digest=digest(image), policy="shop-to-prod", actor="lee", comment=comment
        )
        await self.tell(data, f"{QA}@{digest(image)}")

    async def arrive(self, target: str) -> None:
        """Let the last copy to a tag be completed, a minute later."""
        command = (await self._world.copies())[target]
        copy: Any = command.data
        self._clock.now += timedelta(minutes=1)
        data = TransferCompleted(
            **copy.outcome_members(command.id),
            previous_digest=self._has.get(target),
            bytes_copied=48_312_007,
            blobs_copied=6,
            blobs_mounted=0,
            blobs_skipped=1,
        )
        self._has[target] = copy.digest
        await self.tell(data, target, source="towline/transferrer")

    async def seal(self) -> None:
        """Seal what every partition has decided since the last seal."""
        key = SealingKey(_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        for partition, tail in enumerate(self._tails):
            new = [
                Leaf(record_leaf(it.key, it.value, it.headers, it.timestamp_ms), it.offset, it.timestamp_ms)
                for it in await records(self.log, DECISIONS, partition)
                if it.offset > (tail.leaves[-1].offset if tail.leaves else tail.last_offset)
            ]
            if new:
                full = tail.with_records(new)
                checkpoint: Envelope[Any] = full.checkpoint(partition, key)
                self._tails[partition] = full.after(Mark.of(checkpoint))
                await self.log.append(Append(CHECKPOINTS, str(partition).encode(), encode(checkpoint), partition))


async def november() -> MemoryLog:
    """Return the log."""
    story = _Story()
    story.at(1, 8)
    await story.tell(PolicyProposed(replaces=0, set=POLICIES, actor="dana"), "policies@1")
    story.at(2, 9)
    await story.push("1.4-stable", "shop 1.4")
    story.at(2, 9, 4)
    await story.scan("shop 1.4")
    await story.arrive(f"{QA}:1.4-stable")
    story.at(2, 16, 30)
    await story.approve("shop 1.4", "load test passed")
    await story.arrive(f"{PROD}:stable")
    story.at(3, 0)
    await story.tick()
    await story.seal()
    story.at(4, 10)
    await story.push("1.5-rc1", "shop 1.5-rc1")
    story.at(4, 11)
    await story.push("1.5-stable", "shop 1.5")
    story.at(4, 11, 5)
    await story.scan("shop 1.5")
    await story.arrive(f"{QA}:1.5-stable")
    story.at(4, 15)
    await story.approve("shop 1.5", "")
    await story.arrive(f"{PROD}:stable")
    story.at(5, 9)
    critical = Vulnerability(id="CVE-2026-41113", severity="critical", component="openssl", version="3.0.1")
    await story.scan("shop 1.4", critical)
    await story.tick()
    await story.seal()
    return story.log


async def write(folder: Path) -> None:
    """Write the slice and the public key of the seals."""
    log = folder / "log.jsonl"
    log.unlink(missing_ok=True)
    await write_slice(await november(), log, Choice(), Scanner({}, []))
    (folder / "seal.pub").write_bytes(PUBLIC_PEM)


if __name__ == "__main__":
    asyncio.run(write(FOLDER))
