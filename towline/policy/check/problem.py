"""A problem: what is wrong at which place of a policy set."""

from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Names of fields and numbers of entries, from the outside, such as ``("policies", 0, "rules", 1, "operator")``."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and what to write instead."""

    path: Path
    text: str

    def __str__(self) -> str:
        place = ".".join(str(part) for part in self.path)
        return f"{place}: {self.text}" if place else self.text
