"""How Amazon's queues and topics wrap what they carry: SNS, SQS, and SNS in SQS."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from pydantic import Field

from towline import limits
from towline.dialects.delivery import Handshake
from towline.dialects.jsonbytes import read_json
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted, shown
from towline.dialects.telling import at
from towline.errors import UnusableInputError

#: SQS around SNS around the event is the deepest that there is.
_WRAPPING_COUNT: Final = 2

_TOPIC: Final = re.compile(
    r"arn:(?P<partition>aws|aws-cn|aws-us-gov):sns:(?P<region>[a-z0-9]+(?:-[a-z0-9]+)+):\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?",
    re.ASCII,
)
_TOKEN: Final = re.compile(r"[0-9A-Fa-f]{16,1024}")


class _Notification(Part):
    message: Annotated[str, Field(alias="Message")]


class _Confirmation(Part):
    topic: Annotated[str, Field(alias="TopicArn")]
    token: Annotated[str, Field(alias="Token")]


class _Message(Part):
    body: Annotated[str, Field(validation_alias="Body")]


class _Record(Part):
    body: str


def unwrapped(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the path and the JSON of what is inside, in order; a value that nothing wraps is yielded itself.

    Raises:
        UnusableInputError: a wrapping holds no JSON, or wraps too deep.
    """
    inner = list(_inside(value, path))
    if not inner:
        yield path, value
    elif depth == _WRAPPING_COUNT:
        raise UnusableInputError(f"{path}: wrapped more than {_WRAPPING_COUNT} times")
    else:
        for place, text in inner:
            try:
                content = read_json(text.encode("utf-8"), limits.hook_body_bytes)
            except UnusableInputError as error:
                raise UnusableInputError(f"{place}: {error}") from None
            yield from unwrapped(content, place, depth + 1)


def _inside(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        return
    if value.get("Type") == "Notification":
        yield at(path, "Message"), fitted(_Notification, value, path).message
    # Lambda's form of a batch, then the answer of ReceiveMessage, then one message of it.
    elif isinstance(value.get("Records"), list):
        for number, record in enumerate(value["Records"]):
            place = at(path, f"Records.{number}")
            yield at(place, "body"), fitted(_Record, record, place).body
    elif isinstance(value.get("Messages"), list):
        for number, message in enumerate(value["Messages"]):
            place = at(path, f"Messages.{number}")
            yield at(place, "Body"), fitted(_Message, message, place).body
    elif "Body" in value and "MessageId" in value:
        yield at(path, "Body"), fitted(_Message, value, path).body


def confirmation(value: Any) -> Handshake | None:
    """Return the handshake when ``value`` is the question of an SNS topic if it may send, else None.

    Its answer counts when the address is fetched that the topic gives. That address is put together from the topic and
    the token, and leads to Amazon's service in the topic's region whatever the message says.

    Raises:
        UnusableInputError: it is such a question, but of no topic, or with an impossible token.
    """
    if not isinstance(value, dict) or value.get("Type") != "SubscriptionConfirmation":
        return None
    asked = fitted(_Confirmation, value)
    topic = _TOPIC.fullmatch(asked.topic)
    if topic is None:
        raise UnusableInputError(f"TopicArn: {shown(asked.topic)} is no topic of SNS")
    if _TOKEN.fullmatch(asked.token) is None:
        raise UnusableInputError(f"Token: {shown(asked.token)} is no token of SNS")
    host = f"sns.{topic['region']}.amazonaws.com{'.cn' if topic['partition'] == 'aws-cn' else ''}"
    query = urlencode({"Action": "ConfirmSubscription", "TopicArn": asked.topic, "Token": asked.token})
    return Handshake(subject=asked.topic, confirm_url=f"https://{host}/?{query}")
