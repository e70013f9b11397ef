"""A proposed policy set in force from a moment on, as if it had been there all along under the revision of then.

The number of the revision stays, so that whoever was judged under it and meets the same policies in the proposed set is
judged no other way than before. What meets other policies counts as not yet judged.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.events import PolicyPublished
from schemas.policies import PolicySet
from schemas.references import Frozen, Reference, Repository
from towline.policy.index import PolicyIndex, policies_in_force
from towline.policy.state.lists import each_name
from towline.policy.state.tags import REPOSITORIES_LIST, TagState, tags_list
from towline.policy.state.values import REVISION_KEY, Draft, RevisionState, StateView
from towline.policy.step import MemoryState, Step

SOURCE: Final = "towline/what-if"


def adopt(state: MemoryState, policies: PolicySet, time: str) -> Step | None:
    """Put a set in force in one partition at a moment; return what follows, or None when it is in force already.

    As with any publication, what is in the sources of new and changed policies is judged, where they say so.
    """
    known = RevisionState.read(state)
    if known.revision and known.digest == policies.digest:
        return None
    draft = Draft(state)
    if known.revision:
        _forget_judgements(draft, known, PolicyIndex(policies))
        state.apply(draft.changes)
    return state.step(_publication(policies, known.revision or 1, time))


def _forget_judgements(draft: Draft, known: RevisionState, proposed: PolicyIndex) -> None:
    before = policies_in_force(draft)
    # Any other number below this one; 0 would say that there were no policies.
    earlier = known.revision - 1 or -1
    for reference in _references(draft, before, proposed):
        tag = TagState.read(draft, reference)
        if tag.revision == known.revision:
            replace(tag, revision=earlier).write(draft, reference)
    draft.put(REVISION_KEY, {"revision": earlier, "digest": known.digest})


def _references(state: StateView, before: PolicyIndex, proposed: PolicyIndex) -> Iterator[Reference]:
    """Yield the tags of the repositories that meet other policies."""
    for name in list(each_name(state, REPOSITORIES_LIST)):
        repository = Repository.parse(name)
        if before.policies_of(repository) != proposed.policies_of(repository):
            for tag in list(each_name(state, tags_list(repository))):
                yield Reference(repository, tag)


def _publication(policies: PolicySet, revision: int, time: str) -> Envelope[Frozen]:
    data = PolicyPublished(
        revision=revision,
        digest=policies.digest,
        set=policies,
        proposal_id=content_id("what-if", "proposal", policies.digest),
        actor=SOURCE,
    )
    return Envelope(content_id("what-if", policies.digest, time), SOURCE, f"policies@{revision}", time, data)
