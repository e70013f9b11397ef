"""The envelope around every record: CloudEvents 1.0 attributes, plus an integer ``version`` of the data's shape."""

from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, StringConstraints

from schemas.instants import Instant
from schemas.references import Frozen

DataT_co = TypeVar("DataT_co", bound=Frozen, covariant=True)


@dataclass(frozen=True, slots=True)
class Envelope(Generic[DataT_co]):
    """A record with its data as a model of the catalogue."""

    #: Derived from the content; equal ids are the same fact.
    id: str
    #: Who recorded it, such as ``towline/hooks/local``.
    source: str
    #: What it is about, for people and filters: a reference, a repository or a policy.
    subject: str
    #: When it was recorded. Decisions and commands carry the time of the event that caused them.
    time: str
    data: DataT_co


class WireEnvelope(Frozen):
    """The envelope as it is written: structured-mode CloudEvents JSON."""

    specversion: Literal["1.0"]
    id: Annotated[str, StringConstraints(pattern=r"^[a-f0-9]{64}$")]
    source: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    type: Annotated[str, StringConstraints(pattern=r"^[a-z]+\.[a-z]+$")]
    version: Annotated[int, Field(ge=1)]
    subject: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    time: Instant
    datacontenttype: Literal["application/json"]
    data: dict[str, Any]
