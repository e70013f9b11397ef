"""How a tag stands with the policies in force, beyond the verdicts: what is not there, and what comes near."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final, cast

from schemas.commands import TargetCommand
from schemas.decisions import MANUAL, ROLLBACK, Decision
from schemas.events import PolicyPublished, RemovalFailed, TransferFailed
from schemas.policies import Policy
from schemas.references import Reference
from streams.projection.records import Records
from streams.transfers.transfer import ended_as
from towline.policy.patterns import match

#: How many names that come near are told.
_NEAR_COUNT: Final = 5
_NEAR: Final = 0.6


def notes_on(records: Records, reference: Reference, digest: str | None, judged: Iterable[Decision]) -> tuple[str, ...]:
    """Return a sentence for each policy of which no verdict tells enough, and for a tag that no policy judges."""
    kept = records.policies()
    if kept is None:
        return ("no policies are in force: bring some with towline policy apply",)
    published = cast("PolicyPublished", kept.envelope.data)
    by_name = {decision.policy: decision for decision in judged}
    matching = {
        policy.name: policy
        for policy in published.set.policies
        if match(policy.source, reference.repository) is not None
    }
    revision = published.revision
    told = list(_outdated(records, by_name.values(), matching, revision))
    if not matching:
        return (*told, _no_policy(published, reference))
    for name, policy in sorted(matching.items()):
        if policy.mode == "disabled":
            told.append(f"policy {name} is disabled in revision {revision}: it judges nothing")
        elif digest is not None and name not in by_name:
            told.append(_unjudged(policy, revision))
    return tuple(told)


def _unjudged(policy: Policy, revision: int) -> str:
    if policy.initial_evaluation:
        return (
            f"policy {policy.name} of revision {revision} has not judged it yet: a worker judges what is there already "
            "with the ticks of the clock; does one run?"
        )
    return (
        f"policy {policy.name} of revision {revision} has not judged it: it has initial_evaluation: false, so it waits "
        "for the next push"
    )


def _outdated(
    records: Records, judged: Iterable[Decision], matching: dict[str, Policy], revision: int
) -> Iterator[str]:
    """Yield what became of policies since they judged."""
    for decision in judged:
        name = decision.policy
        if name in {None, MANUAL, ROLLBACK} or decision.revision >= revision:
            continue
        if name not in matching:
            yield f"policy {name} judged under revision {decision.revision}, and is not there in revision {revision}"
            continue
        before = records.publication(decision.revision)
        data = None if before is None else cast("PolicyPublished", before.envelope.data)
        if data is not None and matching[name] not in data.set.policies:
            yield (
                f"policy {name} judged under revision {decision.revision}, and is another one in revision {revision}, "
                "which has not judged it yet"
            )


def _no_policy(published: PolicyPublished, reference: Reference) -> str:
    sources = {str(policy.source): policy.name for policy in published.set.policies}
    near = get_close_matches(str(reference.repository), sources, _NEAR_COUNT, _NEAR)
    told = ", ".join(f"{source} of policy {sources[source]}" for source in near)
    nearest = f"; nearest: {told}" if told else ""
    return f"no policy of revision {published.revision} has {reference.repository} as its source{nearest}"


def notes_on_unknown(records: Records, reference: Reference) -> Iterator[str]:
    """Yield what the log has of a tag to which nothing ever came, and which names come near."""
    repository = reference.repository
    for item in records.commands_to(reference):
        data = cast("TargetCommand", item.envelope.data)
        yield f"{data.policy} was to bring {data.digest} from {data.source}: {_end_of(records, item.envelope.id)}"
    if records.told_of_tag(reference, ("image.hinted",)):
        yield "somebody hinted at it, and nobody has looked yet: does a worker run that observes?"
    tags = records.tags(repository)
    if tags:
        near = get_close_matches(reference.tag, tags, _NEAR_COUNT, _NEAR) or sorted(tags)[:_NEAR_COUNT]
        yield f"the log knows {len(tags)} tag{'' if len(tags) == 1 else 's'} of {repository}, such as {', '.join(near)}"
        return
    near = get_close_matches(str(repository), records.repositories(), _NEAR_COUNT, _NEAR)
    told = f" Nearest: {', '.join(near)}" if near else ""
    yield f"the log knows nothing of {repository}: does its registry send webhooks, or does a policy poll it?{told}"


def _end_of(records: Records, command_id: str) -> str:
    for item in records.ends_of([command_id]):
        data = item.envelope.data
        if isinstance(data, TransferFailed | RemovalFailed):
            return f"failed, {data.cause}: {data.detail}"
        return ended_as(data)  # type: ignore[arg-type]
    return "it has not ended yet"
