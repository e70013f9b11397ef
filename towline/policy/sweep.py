"""Which tags that are there already a new revision or an override makes it necessary to judge."""

from collections.abc import Mapping

from schemas.policies import Policy
from schemas.references import Repository
from towline.policy.agenda import Task
from towline.policy.arrival import attached_to
from towline.policy.index import OVERRIDE, policies_in_force
from towline.policy.state.sweeps import Sweep, add_sweep, advance, narrow_sweeps
from towline.policy.state.tags import TagState, tags_list
from towline.policy.state.values import Draft, RevisionState, judged_tag_count


def begin_initial_evaluation(draft: Draft, before: Mapping[str, Policy]) -> None:
    """Begin to judge what is in the sources of the policies that are new or changed in the set now in force."""
    revision, after = RevisionState.read(draft).revision, policies_in_force(draft).by_name
    changed = new_or_changed(before, after)
    # What an earlier revision began goes on only for the policies that are as they were.
    narrow_sweeps(draft, frozenset(after) - {policy.name for policy in changed})
    chosen = [policy for policy in changed if policy.initial_evaluation]
    exact = [
        policy for policy in chosen if (repository := policy.source.repository) and draft.get(tags_list(repository))
    ]
    globs = [policy for policy in chosen if policy.source.repository is None]
    if exact:
        repositories = sorted({str(policy.source) for policy in exact})
        add_sweep(draft, Sweep(frozenset(policy.name for policy in exact), revision, repositories=repositories))
    if globs:
        add_sweep(draft, Sweep(frozenset(policy.name for policy in globs), revision))


def new_or_changed(before: Mapping[str, Policy], after: Mapping[str, Policy]) -> list[Policy]:
    """Return the policies that were not there, or were others."""
    return [policy for name, policy in after.items() if before.get(name) != policy]


def begin_override_sweep(draft: Draft, repository: Repository) -> None:
    """Begin to judge again what waits or was denied in a repository, by the policies that overrides can change."""
    matches = policies_in_force(draft).matching(repository)
    policies = frozenset(match.policy.name for match in matches if OVERRIDE in match.kinds)
    if policies and draft.get(tags_list(repository)) is not None:
        add_sweep(draft, Sweep(policies, repositories=[str(repository)]))


def next_tasks(draft: Draft) -> list[Task]:
    """Return the next tags of the sweeps under way."""
    index = policies_in_force(draft)

    def is_wanted(sweep: Sweep, repository: Repository) -> bool:
        return any(match.policy.name in sweep.policies for match in index.matching(repository))

    tasks: list[Task] = []
    for sweep, reference in advance(draft, is_wanted, judged_tag_count(draft)):
        tag = TagState.read(draft, reference)
        is_initial = sweep.revision is not None
        names = sweep.policies if is_initial else sweep.policies & tag.pending.keys()
        if sweep.revision is not None and tag.revision >= sweep.revision:
            continue  # It came after the publication, and was judged then.
        if tag.digest is not None and names and attached_to(reference.tag) is None:
            tasks.append(Task(reference, names, is_new=is_initial))
    return tasks
