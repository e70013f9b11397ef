"""Copies that are interrupted anyhow, drawn by a seed: a target tag is old or right, and nothing stays behind.

The number in a failing test's name is its seed. Both registries of these tests believe whatever digest they are told,
so that nothing but the engine's own checks stands between wrong bytes and the target (fault catalogue: R rows, I7, I8,
I9, I13).
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.commands import CopyImage
from schemas.descriptors import OCI_INDEX, Descriptor
from schemas.events import TransferFailed
from streams.local_registry.store import Store, StoredManifest
from tests.support.faults import Alter, Answer, Answered, Before, Break, Fault
from tests.support.images import (
    copy_command,
    push_docker_image,
    push_docker_index,
    push_index,
    push_manifest_of,
    push_platforms,
    push_referrer,
)
from tests.support.pairs import Pair, pair_of_registries
from tests.support.waiting import eventually
from tests.unit.registry.copying import BLOB, MANIFEST, TAG, UPLOAD
from towline import limits
from towline.policy.arrival import attached_to
from towline.registry import Attempts, TransferOutcome, carry_out, push_image
from towline.registry.blobs import digest_of
from towline.registry.images import push_blob
from towline.registry.referrers import fallback_tag

#: Seeds of the quick suite, and how often each interrupts copies between the same two registries.
SEED_COUNT = 40
ROUND_COUNT = 5

#: A round takes a fraction of a second: who needs so long hangs.
ROUND_SECONDS = 30.0

FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
LISTING = "/referrers/"
TARGETS = ("target/qa/app:1.0", "target/qa/web:1.0")

#: The kinds that may also last until the attempts are spent.
LASTING = ("error", "rate limit", "reset", "cut", "spoilt", "wrong bytes")

#: What a copy asks for, and where.
CONTENT = (("source", "GET", MANIFEST), ("source", "GET", BLOB))
ATTACHED = (("source", "GET", LISTING), ("source", "HEAD", "/manifests/sha256-"))
NAMES = (("target", "HEAD", TAG), ("target", "PUT", TAG))
WRITES = (
    ("target", "HEAD", BLOB),
    ("target", "POST", "/uploads/"),
    ("target", "PUT", UPLOAD),
    ("target", "PUT", MANIFEST),
    ("target", "DELETE", UPLOAD),
)
PLACES = (*CONTENT, *ATTACHED, *NAMES, *WRITES)


@dataclass(frozen=True)
class Prepared:
    """What both registries hold at first, and the images by digest, each with what has to come before its name."""

    source: Store
    target: Store
    images: Mapping[str, frozenset[str]]
    other: str


@dataclass
class Reset:
    """The connection breaks without an answer, before the request is carried out or after it.

    ``unheard`` gets the upload sessions of which the client was never told: nobody can give those up.
    """

    acts: bool
    unheard: set[str]

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        del send  # nothing is answered

        async def keep(message: Message) -> None:
            headers = dict(message.get("headers", ()))
            if b"docker-upload-uuid" in headers:
                self.unheard.add(headers[b"docker-upload-uuid"].decode())

        if self.acts:
            await app(scope, receive, keep)
        # ASGI itself has no way to break a connection; what uvicorn receives by belongs to it.
        receive.__self__.transport.abort()  # type: ignore[attr-defined]
        while (await receive())["type"] != "http.disconnect":
            pass


class Tags(dict[str, str]):
    """The tags of a repository, which remember what they were pointed to, and what was not there at that moment."""

    def __init__(
        self, tags: Mapping[str, str], manifests: Mapping[str, StoredManifest], images: Mapping[str, frozenset[str]]
    ) -> None:
        super().__init__(tags)
        self._manifests = manifests
        self._images = images
        self.written: set[tuple[str, str]] = set()
        self.missing: set[str] = set()

    def __setitem__(self, tag: str, digest: str) -> None:
        super().__setitem__(tag, digest)
        if attached_to(tag) is None:
            self.written.add((tag, digest))
            self.missing |= self._images.get(digest, frozenset()) - self._manifests.keys()


def with_body(answered: Answered, body: bytes) -> Answered:
    return replace(answered, body=body, headers={**answered.headers, "content-length": str(len(body))})


SPOILT: tuple[Callable[[Answered], Answered], ...] = (
    lambda it: with_body(it, it.body[:-1]),
    lambda it: with_body(it, it.body + b"!"),
    lambda it: with_body(it, b"?" * len(it.body)),
)


class World:
    """Two registries, and what one seed does to the copies between them."""

    def __init__(self, seed: int, pair: Pair, prepared: Prepared) -> None:
        self._draw = random.Random(seed)  # noqa: S311 - to be drawn again
        self._pair = pair
        self._images = prepared.images
        self._other = prepared.other
        pair.source.store, pair.target.store = deepcopy(prepared.source), deepcopy(prepared.target)
        self._tags: dict[str, Tags] = {}
        for name, it in pair.target.store.repositories.items():
            self._tags[name] = it.tags = Tags(it.tags, it.manifests, prepared.images)
        self._engine = pair.engine()
        self._unheard: set[str] = set()
        self._tasks: list[asyncio.Task[TransferOutcome]] = []
        #: What happens in this round, for whoever reads a failure.
        self.story: list[str] = []
        self._kinds: set[str] = set()

    async def round(self) -> None:
        """Interrupt copies, let the faults stop, copy again; check what came of both."""
        self.story, self._kinds = [], set()
        targets = self._draw.sample(TARGETS, self._draw.choice((1, 2)))
        images = sorted(self._images)
        commands = [copy_command("source/dev/app:1.0", self._draw.choice(images), target) for target in targets]
        before = {name: tags.get("1.0") for name, tags in self._tags.items()}
        for tags in self._tags.values():
            tags.written.clear()
        for _ in range(self._draw.randint(1, 3)):
            self._install()
        self._tasks = [asyncio.create_task(self._carry_out(command)) for command in commands]
        await asyncio.wait(self._tasks)
        self._check_ends()
        self._check_target(commands, before)
        self._pair.source_faults.stop()
        self._pair.target_faults.stop()
        for command in commands:
            outcome = await self._carry_out(command)
            assert not isinstance(outcome, TransferFailed), outcome
            assert self._tags[command.target.repository.name]["1.0"] == command.digest
        self._check_target(commands, before)
        self._check_content()

    def _install(self) -> None:
        kind = self._draw.choice(sorted(self._faults()))
        places, make = self._faults()[kind]
        side, method, path = self._draw.choice(places)
        fault, nth, times = make(), self._draw.choice((1, 1, 1, 2, 2, 3, 4)), self._draw.choice((1, 1, 2, 3))
        if kind in LASTING and self._draw.random() < 0.2:
            times = 1000
        self.story.append(f"{kind} {times} times from request {nth} on: {side} {method} {path} {fault}")
        self._kinds.add(kind)
        faults = self._pair.source_faults if side == "source" else self._pair.target_faults
        faults.on(method, path, fault, nth=nth, times=times)

    def _faults(self) -> dict[str, tuple[tuple[tuple[str, str, str], ...], Callable[[], Fault]]]:
        draw, uploads = self._draw, self._pair.target.store.uploads
        wait = {"retry-after": "7"}
        return {
            "error": (PLACES, lambda: Answer(draw.choice((500, 502, 503, 504)), body=b"<html>busy</html>")),
            "rate limit": (PLACES, lambda: Answer(429, draw.choice((wait, {})))),
            "reset": (PLACES, lambda: Reset(draw.random() < 0.5, self._unheard)),
            "cut": (CONTENT, lambda: Break(after_bytes=draw.randint(0, 5000))),
            "spoilt": (CONTENT, lambda: Alter(draw.choice(SPOILT))),
            "wrong bytes": ((CONTENT[1],), lambda: Alter(SPOILT[-1])),
            "session lost": ((("target", "PUT", UPLOAD),), lambda: Before(uploads.clear)),
            "source moves": (CONTENT, lambda: Before(self._move_source)),
            "target moves": ((*CONTENT, *NAMES), lambda: Before(self._move_target)),
            "one cancelled": (PLACES, lambda: Before(self._cancel_one)),
            "all killed": (PLACES, lambda: Before(self._kill)),
            "garbage": ((ATTACHED[0],), lambda: Answer(200, {"content-type": OCI_INDEX}, b"{")),
        }

    def _move_source(self) -> None:
        self._pair.source.store.repositories["dev/app"].tags["1.0"] = self._other

    def _move_target(self) -> None:
        for tags in self._tags.values():
            tags["1.0"] = self._other

    def _cancel_one(self) -> None:
        self._tasks[0].cancel()

    def _kill(self) -> None:
        for task in self._tasks:
            task.cancel()
        # The next process knows nothing of this one.
        self._engine = self._pair.engine()

    async def _carry_out(self, command: CopyImage) -> TransferOutcome:
        pauses: list[float] = []

        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        attempts = Attempts(sleep=pause, jitter=lambda: 1.0)
        try:
            return await carry_out("c" * 64, command, self._engine, attempts=attempts)
        finally:
            assert len(pauses) < limits.transfer_attempt_count + limits.rate_limit_wait_count

    def _check_ends(self) -> None:
        """Check that each copy ended, by cancellation or as its faults allow, and not before its attempts."""
        permanent = {"tag-moved"} if "target moves" in self._kinds else set()
        permanent |= {"protocol"} if "garbage" in self._kinds else set()
        for task in self._tasks:
            if task.cancelled():
                assert self._kinds & {"one cancelled", "all killed"}
            elif isinstance(outcome := task.result(), TransferFailed):
                assert outcome.retryable or outcome.cause in permanent, outcome
                enough = limits.transfer_attempt_count
                assert outcome.attempts >= (enough if outcome.retryable else 1), outcome
                assert "rate limit" in self._kinds or outcome.attempts <= enough, outcome

    def _check_content(self) -> None:
        """Check that everything that was written is what its digest says, and has all that it names."""
        store = self._pair.target.store
        assert {digest_of(content): content for content in store.blobs.values()} == store.blobs
        for repository in store.repositories.values():
            for digest, manifest in repository.manifests.items():
                assert digest_of(manifest.content) == digest
                assert repository.missing(manifest) == []

    def _check_target(self, commands: list[CopyImage], before: Mapping[str, str | None]) -> None:
        wanted = {command.target.repository.name: {command.digest} for command in commands}
        moved = {self._other} if "target moves" in self._kinds else set()
        for name, tags in self._tags.items():
            allowed = wanted.get(name, set()) | moved
            assert tags.written <= {("1.0", digest) for digest in allowed}
            assert tags.get("1.0") in {before[name], *allowed}
            assert tags.missing == set(), "named before what is under it or belongs to it"
        store = self._pair.target.store
        assert store.violations == []
        given_up = {it.path.rpartition("/")[2] for it in self._pair.target_faults.matching("DELETE", UPLOAD)}
        assert store.uploads.keys() <= self._unheard | given_up, "an upload session is left that could be given up"


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    """The same images for every seed."""
    return asyncio.run(_prepare())


async def _prepare() -> Prepared:
    async with pair_of_registries() as pair:
        client, shared, large = pair.source_client, b"shared layer", bytes(range(256)) * 400
        index = await push_platforms(client, "dev/app", "index")
        docker = await push_docker_index(client, "dev/app", "docker-index")
        images = [
            await push_image(client, "dev/app", "single", [shared, large]),
            await push_image(client, "dev/app", "sharing", [shared, large, b"own layer"]),
            index,
            await push_index(client, "dev/app", "nested", [index, docker]),
            await _push_foreign(pair),
            await push_docker_image(client, "dev/app", "docker", layer=b"docker layer"),
            docker,
            await _push_signed(pair),
        ]
        other = await push_image(client, "dev/app", "other", [b"other"])
        for name in ("qa/app", "qa/web"):
            await push_image(pair.target_client, name, "other", [b"other"])
        await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
        source = pair.source.store.repositories["dev/app"]
        closures = {image.digest: _closure(source.manifests, source.tags, image.digest) for image in images}
        return Prepared(pair.source.store, pair.target.store, closures, other.digest)


async def _push_foreign(pair: Pair) -> Descriptor:
    elsewhere = Descriptor(media_type=FOREIGN_LAYER, digest=digest_of(b"elsewhere"), size=9)
    empty = await push_blob(pair.source_client, "dev/app", b"", "application/x-nothing")
    return await push_manifest_of(pair.source_client, "dev/app", "foreign", [elsewhere, empty])


async def _push_signed(pair: Pair) -> Descriptor:
    """Push an image with a referrer, which has one itself, and with a signature under cosign's tag."""
    client = pair.source_client
    image = await push_image(client, "dev/app", "signed", [b"signed layer"])
    report = await push_referrer(client, "dev/app", image, "report")
    await push_referrer(client, "dev/app", report, "signature of the report")
    layer = await push_blob(client, "dev/app", b"signature", "text/plain")
    await push_manifest_of(client, "dev/app", f"{fallback_tag(image.digest)}.sig", [layer])
    return image


def _closure(manifests: Mapping[str, StoredManifest], tags: Mapping[str, str], digest: str) -> frozenset[str]:
    """Return what is under a digest and what belongs to that, itself too, as the documents and tags say it."""
    found: set[str] = set()
    new = {digest}
    while new:
        found |= new
        under = {entry["digest"] for it in new for entry in manifests[it].document.get("manifests", ())}
        about = {it for it, known in manifests.items() if known.document.get("subject", {}).get("digest") in new}
        signed = {tags[tag] for it in new if (tag := f"{fallback_tag(it)}.sig") in tags}
        new = (under | about | signed) - found
    return frozenset(found)


@pytest.fixture
def responses(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Response]:
    """Return a list that gets every answer that a client receives."""
    received: list[httpx.Response] = []
    make = httpx.Response.__init__

    def note(self: httpx.Response, *args: object, **members: object) -> None:
        make(self, *args, **members)  # type: ignore[arg-type]
        received.append(self)

    monkeypatch.setattr(httpx.Response, "__init__", note)
    return received


@pytest.mark.parametrize("seed", range(SEED_COUNT))
async def test_an_interrupted_copy_leaves_a_tag_old_or_right_and_can_be_repeated(
    seed: int, prepared: Prepared, responses: list[httpx.Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.local_registry.store.check_digest", lambda digest, content: None)  # noqa: ARG005
    async with pair_of_registries() as pair:
        others = len(asyncio.all_tasks())
        world = World(seed, pair, prepared)
        for number in range(ROUND_COUNT):
            try:
                async with asyncio.timeout(ROUND_SECONDS):
                    await world.round()
            except BaseException as error:
                error.add_note(f"seed {seed}, round {number}: {'; '.join(world.story)}")
                raise
        await _assert_nothing_is_held(others, responses)


async def _assert_nothing_is_held(others: int, responses: list[httpx.Response]) -> None:
    """Check that no answer is left open, no blob was read into memory as a whole, and nothing goes on."""
    assert [it for it in responses if not it.is_closed] == []
    blobs = [it for it in responses if it.request.method == "GET" and "/blobs/" in it.request.url.path]
    for blob in blobs:
        with pytest.raises(httpx.ResponseNotRead):
            _ = blob.content

    async def all_over() -> bool:
        # By number: the servers' own tasks are renewed all the time.
        return len(asyncio.all_tasks()) <= others

    await eventually(all_over, seconds=ROUND_SECONDS, what="all tasks of the copies are over")
