"""What is left of a delivery when nobody can know who sent it: a reason to look."""

from schemas.events import ImageDeleted, ImageHinted, ImagePushed
from towline.dialects.delivery import Hint, Translation


def as_hints(told: Translation) -> Translation:
    """Return the same without anything that a stranger could have made up, but the tags that are worth a look.

    Digests and names of persons go. What no look can settle is passed over, with the reason.
    """
    hints, passed = [], list(told.passed)
    for fact in told.facts:
        if fact.data.tag is None:
            passed.append(f"{fact.data.repository}: nobody vouches for who says that a digest was deleted")
        else:
            hints.append(Hint(_hint(fact.data, fact.data.tag), fact.delivery_key))
    hints.extend(Hint(hint.data.model_copy(update={"actor": None}), hint.delivery_key) for hint in told.hints)
    passed.extend(f"{one.data.repository}: nobody vouches for who says that a scan ended" for one in told.notices)
    return Translation(hints=tuple(hints), handshake=told.handshake, passed=tuple(passed), flags=told.flags)


def _hint(data: ImagePushed | ImageDeleted, tag: str) -> ImageHinted:
    return ImageHinted(repository=data.repository, tag=tag, occurred_at=data.occurred_at)
