"""What an import has to say of a policy: notes, or why it cannot be taken over."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Notes:
    """What people should know about one policy that is taken over."""

    place: str
    told: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Tell something that people should know; the policy is taken over."""
        self.told.append(text)


class UnusablePolicyError(ValueError):
    """A policy that cannot be taken over without meaning something else."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{path}: {text}" if path else text)
