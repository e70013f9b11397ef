"""Text from outside, for the eyes of people."""

import re
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: object) -> str:
    """Return text without the control and direction characters that could rewrite a terminal or a page."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))
