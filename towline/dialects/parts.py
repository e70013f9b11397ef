"""What the models of the senders' JSON have in common."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a sender's message. Members that are not named here are the sender's business.

    Names of images are checked where they are used, not here: a pull of something that we cannot name must not hold up
    the pushes that came along with it.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")
