"""From the errors of aiokafka and the network to ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import errors

from towline.errors import LogError, LogUnavailableError, TopicMismatchError

_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordTooLargeError, errors.RecordListTooLargeError)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what aiokafka raises inside into errors of ours, whose text begins with ``doing``.

    Raises:
        TopicMismatchError: the topic or partition does not exist.
        LogError: the broker refuses, and would refuse again.
        LogUnavailableError: no connection, no answer in time, or a refusal that may pass.
    """
    try:
        yield
    except errors.UnknownTopicOrPartitionError as error:
        raise TopicMismatchError(f"{doing}: the topic or partition does not exist") from error
    except _TOO_LARGE as error:
        raise LogError(f"{doing}: larger than the broker takes: {error}") from error
    except errors.BrokerResponseError as error:
        kind = LogUnavailableError if error.retriable or isinstance(error, errors.UnknownError) else LogError
        raise kind(f"{doing}: {_text(error)}") from error
    except errors.IncompatibleBrokerVersion as error:
        raise LogError(f"{doing}: {_text(error)}") from error
    except (errors.ConsumerStoppedError, errors.ProducerClosed) as error:
        raise LogUnavailableError(f"{doing}: the log was closed") from error
    except (errors.KafkaError, OSError, TimeoutError) as error:
        raise LogUnavailableError(f"{doing}: {_text(error)}") from error


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
