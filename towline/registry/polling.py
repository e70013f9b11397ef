"""Asking a source what it has: its repositories, and what each of their tags points to."""

from collections.abc import Callable, Mapping
from typing import Final

from pydantic import TypeAdapter, ValidationError

from schemas.patterns import SourcePattern
from schemas.references import Repository, Tag
from towline import limits
from towline.policy.arrival import attached_to
from towline.policy.patterns import match
from towline.registry.attempts import Attempts
from towline.registry.client import Named, RegistryClient
from towline.registry.errors import NotFoundError, ProtocolError, TooLargeError
from towline.registry.parallel import each

_TAG: Final[TypeAdapter[str]] = TypeAdapter(Tag)

Clients = Callable[[str], RegistryClient]


class Poll:
    """Asks sources. Each request is tried again by itself: one that fails does not begin a long poll anew."""

    def __init__(self, clients: Clients, attempts: Attempts) -> None:
        self._clients = clients
        self._attempts = attempts

    async def repositories(self, source: SourcePattern) -> list[Repository]:
        """Return the repositories that a glob matches, by name, from the registry's catalogue.

        Raises:
            FailedError: the catalogue cannot be read, or is beyond the bounds.
        """

        async def read() -> list[Repository]:
            found: set[Repository] = set()
            async for name in self._clients(source.registry).list_repositories():
                repository = _repository(source.registry, name)
                if repository is not None and match(source, repository) is not None:
                    found.add(repository)
                if len(found) > limits.poll_repository_count:
                    raise TooLargeError(f"{source} matches more than {limits.poll_repository_count} repositories")
            return sorted(found)

        return await self._attempts.until_done(read)

    async def tags(
        self, repository: Repository, *, known: Mapping[str, str], listed: bool = False
    ) -> list[tuple[str, Named]]:
        """Return what each tag of a repository points to, in the order of the tags.

        Of a tag that still has its ``known`` digest it is that digest alone.

        Each tag is one request without a body, unless the registry tells no digest that way. Tags that only say what
        belongs to a digest are not among them, nor are those that vanish meanwhile. A repository that the catalogue has
        ``listed`` and that is not found has no tags (any more).

        Raises:
            FailedError: they cannot be read, or are beyond the bounds.
        """

        async def read() -> list[str]:
            try:
                return await self._tag_names(repository)
            except NotFoundError:
                if listed:
                    return []
                raise

        async def look(tag: str) -> Named | None:
            return await self._attempts.until_done(lambda: self._look_up(repository, tag, known.get(tag)))

        names = await self._attempts.until_done(read)
        found = await each(names, look, at_a_time=limits.parallel_poll_count)
        return [(tag, named) for tag, named in zip(names, found, strict=True) if named is not None]

    async def _tag_names(self, repository: Repository) -> list[str]:
        names: set[str] = set()
        async for tag in self._clients(repository.registry).list_tags(repository.name):
            try:
                _TAG.validate_python(tag)
            except ValidationError:
                raise ProtocolError(f"{repository} lists a tag that is none: {tag[:140]!r}") from None
            if attached_to(tag) is None:
                names.add(tag)
            if len(names) > limits.poll_tag_count:
                raise TooLargeError(f"{repository} has more than {limits.poll_tag_count} tags")
        return sorted(names)

    async def _look_up(self, repository: Repository, tag: str, known: str | None) -> Named | None:
        try:
            return await self._clients(repository.registry).look_up(repository.name, tag, known=known)
        except NotFoundError:
            return None


def _repository(registry: str, name: str) -> Repository | None:
    try:
        return Repository.parse(f"{registry}/{name}")
    except ValueError:
        return None  # What cannot be written in a policy is not the source of one.
