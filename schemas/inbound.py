"""What producers outside of this project write: any CloudEvent 1.0 with the data of one of our events."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.events import ImageDeleted, ImagePushed

#: The types that producers may write. All others are ours to write.
INBOUND_TYPES: Final[dict[str, type[ImagePushed] | type[ImageDeleted]]] = {
    "image.pushed": ImagePushed,
    "image.deleted": ImageDeleted,
}

# CloudEvents 1.0, section 3.1: no control characters.
_Attribute = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\u0000-\u001f\u007f-\u009f]+$")]


class InboundEvent(BaseModel):
    """A CloudEvent (https://github.com/cloudevents/spec, version 1.0) from any producer.

    ``source`` and ``id`` together name the fact: whoever sends it again uses the same ones, and it counts once.
    Extension attributes are allowed and not looked at, but for ``version``.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    specversion: Literal["1.0"]
    id: _Attribute
    source: _Attribute
    type: str
    #: The version of the data's shape.
    version: Annotated[int, Field(ge=1)] = 1
    datacontenttype: str | None = None
    subject: str | None = None
    #: When it happened (RFC 3339), unless the data says so.
    time: str | None = None
    data: dict[str, Any]
