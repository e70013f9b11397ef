"""The forms in which a known secret can stand in a text: as it is, or in an encoding."""

import base64
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

#: Of the characters that a preceding byte, or two, have a share in.
_SHARED: Final = (0, 2, 3)
_BITS: Final = 6


def forms(secret: str) -> set[bytes]:
    """Return every form that is searched for."""
    plain, quoted = secret.encode(), quote(secret, safe="")
    found = {plain, plain.hex().encode(), plain.hex().upper().encode(), quote_plus(secret).encode()}
    found |= {quoted.encode(), _lower_escapes(quoted).encode()}
    return found | set(_base64(plain))


def _lower_escapes(quoted: str) -> str:
    first, *rest = quoted.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])


def _base64(secret: bytes) -> Iterator[bytes]:
    """Yield the characters that are the secret's alone, wherever it stands in what was encoded.

    ``user:secret`` of basic authentication has it in the middle: there are three ways for it to fall on characters.
    """
    for before, shared in enumerate(_SHARED):
        content = bytes(before) + secret
        whole = slice(shared, len(content) * 8 // _BITS)
        yield base64.b64encode(content)[whole]
        yield base64.urlsafe_b64encode(content)[whole]
