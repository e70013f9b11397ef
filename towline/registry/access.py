"""What the registries of the settings let us do: reach them, read sources, write targets."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

from schemas.patterns import SourcePattern
from schemas.references import Repository
from towline import limits
from towline.errors import SettingsError
from towline.registry.client import RegistryClient
from towline.registry.errors import NotFoundError, RegistryError
from towline.registry.parallel import each
from towline.registry.registries import Registries

_REGISTRIES_AT_A_TIME: Final = 4


@dataclass(frozen=True, slots=True)
class Access:
    """What was found out about a registry, or about one of its repositories or globs."""

    registry: str
    #: None: the registry itself; it is read when it answers and takes the credentials.
    repository: str | None
    #: None: not asked.
    read: bool | None
    write: bool | None
    #: What is wrong, or worth knowing.
    detail: str = ""
    #: Whether it may be otherwise later without anybody changing anything.
    retryable: bool = False

    @property
    def is_fine(self) -> bool:
        """Tell whether everything that was asked is granted."""
        return self.read is not False and self.write is not False


async def check_access(
    registries: Registries,
    sources: Iterable[SourcePattern],
    targets: Iterable[Repository],
    names: Iterable[str] = (),
) -> list[Access]:
    """Return what is granted at the registries of ``sources`` and ``targets``, and at those of ``names``.

    A source is read by listing its tags, a glob by listing the registry's repositories, which is what a poll does. A
    target is written by opening an upload session and giving it up: nothing stays. Nothing is tried again. Of a
    registry that cannot be used at all, nothing else is asked. Sorted by registry, itself first, then by repository.
    """
    asked: dict[str, dict[str, _Question]] = {name: {} for name in names}
    for source in sources:
        asked.setdefault(source.registry, {}).setdefault(source.path, _Question(source.path)).source = source
    for target in targets:
        asked.setdefault(target.registry, {}).setdefault(target.name, _Question(target.name)).target = target

    async def check(name: str) -> list[Access]:
        return await _check_registry(registries, name, [asked[name][path] for path in sorted(asked[name])])

    found = await each(sorted(asked), check, at_a_time=_REGISTRIES_AT_A_TIME)
    return [access for of_registry in found for access in of_registry]


@dataclass(slots=True)
class _Question:
    """What is asked about one repository or glob."""

    path: str
    source: SourcePattern | None = None
    target: Repository | None = None


async def _check_registry(registries: Registries, name: str, questions: Sequence[_Question]) -> list[Access]:
    async def reach() -> str:
        await registries(name).ping()
        return ""

    granted, detail, retryable = await _granted(reach)
    itself = Access(name, None, granted, None, detail, retryable)
    if granted:
        return [itself, *[await _check_repository(registries(name), question) for question in questions]]
    unasked = [
        Access(
            name, it.path, False if it.source else None, False if it.target else None, "registry not usable", retryable
        )
        for it in questions
    ]
    return [itself, *unasked]


async def _check_repository(client: RegistryClient, question: _Question) -> Access:
    read, write, details, retryable = None, None, [], False
    if question.source is not None:
        exact = question.source.repository
        names = client.list_tags(exact.name) if exact else client.list_repositories()
        read, detail, retryable = await _granted(lambda: _read_first(names, is_glob=exact is None))
        details.append(detail)
    if (target := question.target) is not None:
        write, detail, later = await _granted(lambda: _open_upload(client, target.name))
        details.append(detail)
        retryable = retryable or later
    return Access(client.name, question.path, read, write, "; ".join(filter(None, details)), retryable)


async def _granted(ask: Callable[[], Awaitable[str]]) -> tuple[bool, str, bool]:
    """Return whether it is granted, what is to be said about it, and whether that may pass."""
    try:
        async with asyncio.timeout(limits.access_check_seconds):
            return True, await ask(), False
    except RegistryError as error:
        return False, f"{error.cause}: {error}", error.retryable
    except SettingsError as error:
        return False, f"misconfigured: {error}", False
    except TimeoutError:
        return False, f"no answer within {limits.access_check_seconds:.0f} seconds", True


async def _read_first(names: AsyncGenerator[str, None], *, is_glob: bool) -> str:
    try:
        async with aclosing(names) as listing:
            async for _ in listing:
                break
    except NotFoundError:
        if is_glob:
            raise  # There is no catalogue.
        # Registries do not tell what is hidden from what is not there, and the first push makes it.
        return "not there, or hidden from these credentials"
    return ""


async def _open_upload(client: RegistryClient, repository: str) -> str:
    upload = await client.start_upload(repository)
    # What matters was granted. A session that cannot be given up is forgotten by the registry.
    with suppress(RegistryError):
        await client.cancel_upload(upload)
    return ""
