"""The options of every Kafka client, in one place. What settings say about reaching the broker is applied here."""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from towline import limits
from towline.errors import SettingsError
from towline.settings import KafkaSettings, read_credential

#: A request and the age at which an unsent batch is given up take half of the time for an append each, because a
#: batch can expire just after it was sent.
_REQUEST_TIMEOUT_MS: Final = int(limits.append_timeout_seconds * 1000 / 2)

#: The embedded broker does not wake a waiting fetch when data comes, so that this is its latency. Apache Kafka wakes
#: it at once, and pays with ten idle requests a second for each reader.
_FETCH_WAIT_MS: Final = 100


#: Of one partition, in one answer.
_FETCH_BYTES: Final = 1024 * 1024


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return how to reach the broker, and as whom.

    Raises:
        SettingsError: no broker is set, or the password or ``ca_file`` cannot be read.
    """
    if settings.bootstrap is None:
        raise SettingsError("no broker: set kafka.bootstrap in towline.yaml or TOWLINE_KAFKA_BOOTSTRAP to HOST:PORT")
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap.split(","),
        "request_timeout_ms": _REQUEST_TIMEOUT_MS,
        "security_protocol": settings.security_protocol.upper(),
    }
    if settings.encrypts:
        options["ssl_context"] = _trusting(settings.ca_file)
    if settings.authenticates:
        options["sasl_mechanism"] = settings.sasl_mechanism.upper()
        options["sasl_plain_username"] = settings.username
        options["sasl_plain_password"] = read_credential(settings.password or "")
    return options


def producer_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the options of a producer that is told of success when every in-sync replica has the record.

    Idempotence is off because the embedded broker lacks it; order within a partition holds all the same, since
    aiokafka has one batch of a partition on its way at a time. A retry may write a record twice: ids tell.
    """
    return client_options(settings) | {
        "acks": "all",
        "enable_idempotence": False,
        "linger_ms": 5,
        "max_batch_size": 256 * 1024,
        "max_request_size": limits.record_bytes,
    }


def consumer_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the options of a reader without a group, which never moves its position by itself."""
    return client_options(settings) | {
        "group_id": None,
        "enable_auto_commit": False,
        # "none": an offset that is not there is an error, not a silent jump.
        "auto_offset_reset": "none",
        "fetch_max_wait_ms": _FETCH_WAIT_MS,
        # A larger record comes alone. Several answers are held at a time, so this is much of a reader's memory.
        "max_partition_fetch_bytes": _FETCH_BYTES,
    }


@lru_cache(maxsize=8)
def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return what checks the broker's certificate; remembered, because every reader of a partition needs it."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"kafka.ca_file {ca_file}: no certificates in PEM can be read: {error}") from None
