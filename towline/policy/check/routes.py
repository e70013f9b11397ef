"""Routes: from which repositories to which a policy leads, and what a target tells of its source."""

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import count, takewhile
from typing import Final

from schemas.patterns import SourcePattern, TargetPattern, fill_placeholders
from schemas.references import Repository
from towline.policy.patterns import can_meet, captures, generalise, match

_WILDCARD: Final = re.compile(r"\*\*|\*")
_TOKEN: Final = re.compile(r"\{([1-9][0-9]?)\}|([^{}]+)")


@dataclass(frozen=True)
class Route:
    """The source and the target of a policy, whose placeholders all have a value."""

    source: SourcePattern
    target: TargetPattern

    @cached_property
    def ends(self) -> SourcePattern:
        """All repositories that it can lead to; perhaps more."""
        ends = generalise(self.target, self.source)
        if ends is None:
            raise ValueError(f"a placeholder of {self.target} has no value")
        return ends

    @cached_property
    def is_exact(self) -> bool:
        """Whether it has one source."""
        return self.source.repository is not None

    @cached_property
    def _spelled(self) -> tuple[str, str]:
        """Source and target path in numbered placeholders only."""
        numbers = count(1)
        source = _WILDCARD.sub(lambda _: f"{{{next(numbers)}}}", self.source.path)
        own = {name: f"{{{name}}}" for name in captures(self.source)}
        return source, fill_placeholders(self.target.path, own | {"repository": source})

    @cached_property
    def swap(self) -> tuple[str, str, str, str] | None:
        """How it changes the ends of a path and keeps all between, as (head, new head, tail, new tail).

        None when it does something else. Two routes from one registry that swap alike lead different repositories to
        different repositories.
        """
        source, target = self._spelled
        first, last = source.find("{"), source.rfind("}") + 1
        if first < 0 or target.count(source[first:last]) != 1:
            return None
        new_head, new_tail = target.split(source[first:last])
        if "{" in new_head + new_tail:
            return None
        head, tail = source[:first], source[last:]
        kept_head, kept_tail = _common_tail(head, new_head), _common_head(tail, new_tail)
        return (
            head[: len(head) - kept_head],
            new_head[: len(new_head) - kept_head],
            tail[kept_tail:],
            new_tail[kept_tail:],
        )

    @cached_property
    def _reader(self) -> re.Pattern[str] | None:
        """What reads the placeholders from a target path, when there is only one way to read them."""
        wildcards = dict(enumerate(_WILDCARD.findall(self.source.path), 1))
        parts = [re.findall(r"\{([1-9][0-9]?)\}", part) for part in self._spelled[1].split("/")]
        numbers = [int(name) for part in parts for name in part]
        long = [number for number in numbers if wildcards[number] == "**"]
        if any(len(part) > 1 for part in parts) or len(long) > 1 or set(numbers) != set(wildcards):
            return None
        seen: set[str] = set()
        return re.compile("".join(self._expression(token, wildcards, seen) for token in self._tokens()))

    def _tokens(self) -> list[re.Match[str]]:
        return list(_TOKEN.finditer(self._spelled[1]))

    @staticmethod
    def _expression(token: re.Match[str], wildcards: dict[int, str], seen: set[str]) -> str:
        if token[1] is None:
            return re.escape(token[2])
        if token[1] in seen:
            return f"(?P=c{token[1]})"
        seen.add(token[1])
        return f"(?P<c{token[1]}>{'.+' if wildcards[int(token[1])] == '**' else '[^/]*'})"

    @property
    def tells_sources_apart(self) -> bool:
        """Whether different sources always lead to different targets. Never wrongly True."""
        return self.is_exact or self.swap is not None or self._reader is not None

    def source_of(self, target: str) -> Repository | None:
        """Return the only repository that leads to a target path; None when none does.

        Raises:
            ValueError: the route does not tell its sources apart.
        """
        path = self._path_of(target)
        if path is None:
            return None
        try:
            repository = Repository.parse(f"{self.source.registry}/{path}")
            values = match(self.source, repository)
            led = None if values is None else self.target.fill(values).name
        except ValueError:
            return None
        return repository if led == target else None

    def _path_of(self, target: str) -> str | None:
        if self.swap is not None:
            head, new_head, tail, new_tail = self.swap
            if not (target.startswith(new_head) and target.endswith(new_tail)):
                return None
            return head + target[len(new_head) : len(target) - len(new_tail)] + tail
        if self._reader is None:
            raise ValueError(f"{self.target} does not tell the repositories of {self.source} apart")
        read = self._reader.fullmatch(target)
        if read is None:
            return None
        values = {name[1:]: text for name, text in read.groupdict().items()}
        return fill_placeholders(self._spelled[0], values)


def can_share_target(one: Route, two: Route) -> bool:
    """Tell whether two different repositories can be led to one. Never wrongly False."""
    if one.is_exact and two.is_exact:
        return one.ends == two.ends and one.source != two.source
    if not can_meet(one.ends, two.ends):
        return False
    if one.is_exact or two.is_exact:
        exact, glob = (one, two) if one.is_exact else (two, one)
        if not glob.tells_sources_apart:
            return True
        other = glob.source_of(exact.ends.path)
        return other is not None and other != exact.source.repository
    if one.source.registry == two.source.registry and one.swap is not None and one.swap == two.swap:
        return False
    return one != two or not one.tells_sources_apart


def _common_head(one: str, two: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))


def _common_tail(one: str, two: str) -> int:
    return _common_head(one[::-1], two[::-1])
