"""The error tree. Every leaf says if trying again can help; a denied promotion is a decision, not an error.

::

    TowlineError
    +- MisuseError                  the caller's input; exit code 2
    |  +- SettingsError
    |  +- PolicyError
    |  +- UnusableInputError        becomes a dead letter or a 4xx
    +- InfrastructureError          exit code 3
    |  +- LogError
    |  |  +- LogUnavailableError    retryable
    |  |  +- TopicMismatchError
    |  +- NoAnswerError
    |  +- StorageError
    +- RegistryError                see towline.registry.errors
"""

from typing import ClassVar


class TowlineError(Exception):
    """The root of everything raised on purpose."""

    #: True when the same call may succeed later without anybody changing anything.
    retryable: ClassVar[bool] = False


class MisuseError(TowlineError):
    """The caller asked for something that cannot be; the text says what to do instead."""


class SettingsError(MisuseError):
    """The settings are incomplete or contradict themselves."""


class PolicyError(MisuseError):
    """A file of policies or subscriptions that must not enter the log.

    ``problems`` has one line for each thing that is wrong.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UnusableInputError(MisuseError):
    """An input that yields no event, with the reason for its sender."""


class InfrastructureError(TowlineError):
    """Something that we depend on did not do its part."""


class LogError(InfrastructureError):
    """The log refused or failed."""


class LogUnavailableError(LogError):
    """The log could not be reached, or did not acknowledge in time. What was sent may or may not be in it."""

    retryable = True


class TopicMismatchError(LogError):
    """A topic is missing or its partitions, retention or cleanup differ from the catalogue."""


class NoAnswerError(InfrastructureError):
    """A worker that should have answered through the log did not, within the time given."""

    retryable = True


class StorageError(InfrastructureError):
    """A file could not be written or kept: no room, no permission, or a disk that fails."""
