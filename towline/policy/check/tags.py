"""Which tags a policy's rules let pass, and which target tags it makes of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.patterns import fill_placeholders
from schemas.policies import Policy
from schemas.references import Reference, Repository
from schemas.rules import TagRule
from towline.policy.check.shapes import ANY, TAG, Shape, can_equal, keeps_tags_apart, literal, template_shape
from towline.policy.patterns import captures
from towline.policy.rules.texts import holds

#: Values of one rule that are looked at one by one; of more only what they have in common at both ends.
_ALTERNATIVES_MAX: Final = 8
#: Of more rules the rest is not looked at: that only makes the tags seem more than they are.
_SHAPES_MAX: Final = 16
_ANYWHERE: Final = Repository("any", "where")

Shapes = tuple[Shape, ...]
"""Alternatives: a text has one of these shapes."""


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags that can pass the tag rules of a policy; never too few."""

    rules: tuple[TagRule, ...]
    #: The tags themselves, when the rules name them; None: there is no end of them.
    named: frozenset[str] | None
    #: Each holds for every tag that passes.
    shapes: tuple[Shapes, ...]

    @property
    def are_none(self) -> bool:
        """Whether the rules can never hold together."""
        if self.named is not None:
            return not self.named
        return any(_are_apart(one, two) for one in self.shapes for two in self.shapes)


def tags_of(rules: Iterable[TagRule]) -> Tags:
    """Return which tags pass some rules."""
    rules = tuple(rules)
    lists = [rule.values for rule in rules if rule.operator in {"equals", "one-of"}]
    named = None
    if lists:
        common = set(lists[0]).intersection(*lists[1:])
        named = frozenset(value for value in common if _is_tag(value) and passes(rules, value))
    shapes = [shapes for rule in rules for shapes in _shapes(rule)]
    return Tags(rules, named, ((TAG,), *shapes[:_SHAPES_MAX]))


def passes(rules: Iterable[TagRule], tag: str) -> bool:
    """Tell whether a tag passes; a rule that cannot be read lets pass what it may."""
    return all(_may_hold(rule, tag) for rule in rules)


def _may_hold(rule: TagRule, tag: str) -> bool:
    try:
        return holds(rule.operator, (tag,), rule.values)
    except ValueError:
        return True


def _is_tag(text: str) -> bool:
    try:
        Reference.parse(f"{_ANYWHERE}:{text}")
    except ValueError:
        return False
    return True


def _shapes(rule: TagRule) -> Iterator[Shapes]:
    """Yield what a rule says about the shape of a tag."""
    if len(rule.values) <= _ALTERNATIVES_MAX:
        made = [_shape(rule.operator, value) for value in rule.values]
        if all(made):
            yield tuple(shape for shape in made if shape is not None)
        return
    if rule.operator in {"equals", "one-of", "starts-with"}:
        yield ((*literal(common_head(rule.values)), ANY),)
    if rule.operator in {"equals", "one-of", "ends-with"}:
        yield ((ANY, *literal(common_tail(rule.values))),)


def _shape(operator: str, value: str) -> Shape | None:
    match operator:
        case "equals" | "one-of":
            return literal(value)
        case "starts-with":
            return (*literal(value), ANY)
        case "ends-with":
            return (ANY, *literal(value))
        case "contains":
            return (ANY, *literal(value), ANY)
        case "glob":
            return tuple(piece for char in value for piece in ((ANY,) if char in "*?" else literal(char)))
        case _:
            return None


def _are_apart(one: Shapes, two: Shapes) -> bool:
    return not any(can_equal(first, second) for first in one for second in two)


@dataclass(frozen=True, slots=True)
class TargetTags:
    """The tags under which a policy puts images; never too few."""

    source: Tags
    #: The template, with ``*`` for what placeholders stand for.
    template: str
    #: Different source tags become different target tags.
    is_telling: bool
    shapes: tuple[Shapes, ...]


def target_tags(policy: Policy) -> TargetTags:
    """Return which target tags a policy can make."""
    source = tags_of(rule for rule in policy.rules if isinstance(rule, TagRule))
    template = fill_placeholders(policy.tag, captures(policy.source))
    shapes = tuple(tuple(template_shape(template, shape) for shape in alternatives) for alternatives in source.shapes)
    return TargetTags(source, template, keeps_tags_apart(template), shapes)


def can_meet(one: TargetTags, two: TargetTags) -> bool:
    """Tell whether the two can make one target tag. Never wrongly False."""
    if one.template == two.template and one.is_telling:
        # Then they make it of one source tag, which passes the rules of both.
        return _can_pass_both(one.source, two.source)
    return not any(_are_apart(first, second) for first in one.shapes for second in two.shapes)


def _can_pass_both(one: Tags, two: Tags) -> bool:
    if one.named is not None:
        return any(passes(two.rules, tag) for tag in one.named)
    if two.named is not None:
        return any(passes(one.rules, tag) for tag in two.named)
    return not any(_are_apart(first, second) for first in one.shapes for second in two.shapes)


def common_head(texts: Sequence[str]) -> str:
    """Return what all the texts begin with."""
    first, last = min(texts), max(texts)
    length = next((n for n, char in enumerate(first) if n >= len(last) or char != last[n]), len(first))
    return first[:length]


def common_tail(texts: Sequence[str]) -> str:
    """Return what all the texts end with."""
    return common_head([text[::-1] for text in texts])[::-1]
