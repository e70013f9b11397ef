"""What a target lacks of what commands need, looked up in what it holds."""

from collections.abc import Sequence

from schemas.commands import CopyImage
from streams.local_registry.store import StoredRepository
from tests.support.interruptions.images import Mixed, Needed
from towline.registry.referrers import fallback_tag


def missing_of(
    repository: StoredRepository, mixed: Mixed, commands: Sequence[CopyImage], digest: str, *, lists: bool
) -> list[str]:
    """Return what is missing for all of the commands, which are for ``digest`` or for what it is reduced from.

    ``lists``: the registry itself lists referrers; else there is an index for each subject.
    """
    needed = [
        mixed.needed(command.digest, command.options, is_reduced=digest != command.digest) for command in commands
    ]
    lacking = [set(_missing(repository, one, lists=lists)) for one in needed]
    return sorted(set.intersection(*lacking))


def _missing(repository: StoredRepository, needed: Needed, *, lists: bool) -> list[str]:
    missing = sorted(needed.manifests - repository.manifests.keys())
    for digest in needed.manifests & repository.manifests.keys():
        manifest = repository.manifests[digest]
        children = {entry["digest"] for entry in manifest.document.get("manifests", ())}
        missing += [it for it in repository.missing(manifest) if it not in children]
    missing += [tag for tag in needed.tags if tag not in repository.tags]
    for subject, referrers in () if lists else needed.referrers.items():
        listed = _listed(repository, subject)
        missing += [f"{referrer} in the list of {subject}" for referrer in referrers - listed]
    return missing


def _listed(repository: StoredRepository, subject: str) -> set[str]:
    index = repository.tags.get(fallback_tag(subject))
    if index is None:
        return set()
    return {entry["digest"] for entry in repository.manifests[index].document["manifests"]}
