"""Dead letters: what could not be used goes to ``towline.deadletters``, with the reason and its bytes."""

import base64
import hashlib
from typing import Final

from schemas.canonical import content_id
from schemas.catalogue import encode
from schemas.deadletters import DeadLetter
from schemas.envelope import Envelope
from streams.arrival import arrived_at, record_timestamp_ms
from streams.log import Append, LogRecord
from streams.topics import DEADLETTERS
from towline import limits
from towline.errors import MisuseError

SOURCE: Final = "towline/deadletters"

#: Why an event is a dead letter that the settings have set aside.
QUARANTINED: Final = "the settings have it in quarantine: a bug stopped at it"

#: Marks the input's headers, so that nobody takes the letter itself for a CloudEvent in binary mode.
HEADER_PREFIX: Final = "input."

#: What the reason of a letter says whose input had more headers than are kept.
_HEADERS_LEFT_OUT: Final = "bytes were left out"


def dead_letter(record: LogRecord, reason: str) -> Append:
    """Return the dead letter of a record, to be appended: under the same key, equal bytes for the same record.

    Its id derives from the record's place. The value's bytes are in it up to ``limits.deadletter_value_bytes``, only
    their SHA-256 and number beyond; a tombstone has none. The input's headers are headers of the letter, their names
    prefixed with :data:`HEADER_PREFIX`. Keys and headers longer than ``limits`` allow are left out, which the reason
    then says.
    """
    value, key, headers = record.value, record.key, record.headers
    if key is not None and len(key) > limits.deadletter_key_bytes:
        reason = f"{reason}; its key of {len(key)} bytes, SHA-256 {hashlib.sha256(key).hexdigest()}, was left out"
        key = None
    if (size := sum(len(name.encode()) + len(content) for name, content in headers)) > limits.deadletter_headers_bytes:
        reason = f"{reason}; its headers of {size} {_HEADERS_LEFT_OUT}"
        headers = ()
    keep = value is not None and len(value) <= limits.deadletter_value_bytes
    place = (record.topic, str(record.partition), str(record.offset))
    letter = DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=reason,
        key_base64=None if key is None else base64.b64encode(key).decode(),
        value_base64=base64.b64encode(value).decode() if value is not None and keep else None,
        value_sha256=hashlib.sha256(value or b"").hexdigest(),
        value_size=len(value or b""),
    )
    envelope = Envelope(
        id=content_id(*place), source=SOURCE, subject="/".join(place), time=arrived_at(record), data=letter
    )
    # Without a key the letter goes where its record was: all topics have the same number of partitions.
    partition = record.partition if key is None else None
    kept = tuple((f"{HEADER_PREFIX}{name}", content) for name, content in headers)
    return Append(DEADLETTERS, key=key, value=encode(envelope), partition=partition, headers=kept)


def rejected_input(record: LogRecord, letter: Envelope[DeadLetter]) -> LogRecord:
    """Return the input that a dead letter holds, as it was read: its bytes, key, headers and time.

    ``record`` is the letter's own. A key that was left out is None.

    Raises:
        MisuseError: the letter does not hold all of it; the text says what to do instead.
    """
    data = letter.data
    if data.value_base64 is None:
        if data.value_size:
            raise MisuseError(
                f"its {data.value_size} bytes were too many to be kept (SHA-256 {data.value_sha256}): send it again "
                "from where it came"
            )
        raise MisuseError("the record had no value, so there is nothing to be sent")
    if data.reason.endswith(_HEADERS_LEFT_OUT):
        raise MisuseError("its headers were too many to be kept: send it again from where it came")
    headers = tuple(
        (name.removeprefix(HEADER_PREFIX), value) for name, value in record.headers if name.startswith(HEADER_PREFIX)
    )
    return LogRecord(
        data.topic,
        data.partition,
        data.offset,
        None if data.key_base64 is None else base64.b64decode(data.key_base64),
        base64.b64decode(data.value_base64),
        headers,
        record_timestamp_ms(letter.time),
    )
