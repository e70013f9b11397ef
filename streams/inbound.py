"""From a record of ``towline.inbound`` to the events that it tells.

Header ``dialect`` names how the value is written; without it the record is a CloudEvent, structured or binary. Header
``registry`` names the registry that the sender speaks for; dialects that do not say it themselves need it.
"""

from typing import Final

from schemas.envelope import Envelope
from schemas.instants import Instant
from schemas.references import Frozen
from streams.log import LogRecord
from towline.dialects import Delivery, translate
from towline.dialects.reasons import shown
from towline.dialects.recording import events_of
from towline.errors import UnusableInputError

SOURCE: Final = "towline/inbound"
DIALECT_HEADER: Final = "dialect"
REGISTRY_HEADER: Final = "registry"
DEFAULT_DIALECT: Final = "cloudevents"

_OURS: Final = frozenset({DIALECT_HEADER, REGISTRY_HEADER, "content-type"})


def events_from_record(record: LogRecord, recorded_at: Instant) -> list[Envelope[Frozen]]:
    """Return the events of a record, all or none; a record may tell nothing about a tag and so have none.

    ``recorded_at`` must be a function of the record, see :func:`streams.arrival.arrived_at`: after a crash the same
    record is mapped again, and has to give the same bytes.

    Raises:
        UnusableInputError: the record cannot be used; a retry cannot help.
    """
    if not record.value:
        raise UnusableInputError("the record has no value")
    headers = _headers(record)
    delivery = Delivery(headers, record.value)
    translation = translate(headers.get(DIALECT_HEADER, DEFAULT_DIALECT), delivery, headers.get(REGISTRY_HEADER))
    if translation.handshake is not None:
        raise UnusableInputError("a question if deliveries are wanted is answered by HTTP only")
    return events_of(translation, SOURCE, recorded_at)


def _headers(record: LogRecord) -> dict[str, str]:
    headers: dict[str, str] = {}
    for header, raw in record.headers:
        name = header.lower()
        ours = name in _OURS or name.startswith("ce_")
        if ours and name in headers:
            raise UnusableInputError(f"header {shown(name)} occurs twice")
        try:
            headers[name] = raw.decode()
        except UnicodeDecodeError:
            # Tracing and the like put bytes into headers of their own, which no dialect reads.
            if ours:
                raise UnusableInputError(f"header {shown(name)} is not UTF-8") from None
    return headers
