"""Shapes of texts: a superset of what a text can be, so exact that most pairs can be told apart.

A shape is a row of pieces; a piece is a set of characters, once or any number of times.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from string import ascii_letters, ascii_lowercase, digits
from typing import Final, NamedTuple

from towline.policy.patterns import rows_can_meet

_TAG_FIRST: Final = frozenset(ascii_letters + digits + "_")
_TAG_CHARS: Final = _TAG_FIRST | frozenset(".-")
#: What a wildcard can have matched, within a tag.
_NAME_CHARS: Final = frozenset(ascii_lowercase + digits + "._-")
_LETTERS: Final = frozenset(ascii_letters)
_DIGITS: Final = frozenset(digits)


class Piece(NamedTuple):
    """One of some characters; with ``repeats`` any number of them, also none."""

    chars: frozenset[str]
    repeats: bool = False


Shape = tuple[Piece, ...]

ANY: Final = Piece(_TAG_CHARS, repeats=True)
#: Any tag.
TAG: Final[Shape] = (Piece(_TAG_FIRST), ANY)

_NUMBER: Final = Piece(_DIGITS)
_LETTER: Final = Piece(_LETTERS)
_NAME: Final = Piece(_LETTERS, repeats=True)


@lru_cache(maxsize=1024)
def _char(char: str) -> Piece:
    return Piece(frozenset(char))


def literal(text: str) -> Shape:
    """Return the shape of one text."""
    return tuple(_char(char) for char in text)


#: Years have four digits: the log began after the year 1000 and ends before 10000.
_DIRECTIVES: Final[Mapping[str, Shape]] = {
    **dict.fromkeys("w", (_NUMBER,) * 1),
    **dict.fromkeys("dmyHIMSW", (_NUMBER,) * 2),
    "j": (_NUMBER,) * 3,
    "Y": (_NUMBER,) * 4,
    "f": (_NUMBER,) * 6,
    "p": (Piece(frozenset("AP")), _char("M")),
    "Z": literal("UTC"),
    "a": (_LETTER,) * 3,
    "b": (_LETTER,) * 3,
    "A": (_NAME,),
    "B": (_NAME,),
}
_TOKEN: Final = re.compile(r"%(.)|(\*+)|([^%*]+)", re.DOTALL)


def template_shape(template: str, tag: Shape) -> Shape:
    """Return what a template makes of a tag, where ``*`` stands for what a placeholder stands for."""
    pieces: list[Piece] = []
    for token in _TOKEN.finditer(template):
        if token[1] == "n":
            pieces += tag
        elif token[1] is not None:
            pieces += _DIRECTIVES[token[1]]
        elif token[2] is not None:
            pieces.append(Piece(_NAME_CHARS, repeats=True))
        else:
            pieces += literal(token[3])
    return tuple(pieces)


def keeps_tags_apart(template: str) -> bool:
    """Tell whether two different tags always become two different texts, at whatever times."""
    fixed = template_shape(template.replace("%n", ""), TAG)
    return template.count("%n") == 1 and not any(piece.repeats for piece in fixed)


def can_equal(first: Shape, second: Shape) -> bool:
    """Tell whether some text has both shapes."""
    return rows_can_meet(first, second, lambda one, two: not one.isdisjoint(two))


def fixed_head(shape: Shape) -> str:
    """Return what every text of this shape begins with."""
    head = ""
    for piece in shape:
        if piece.repeats or len(piece.chars) > 1:
            break
        head += next(iter(piece.chars))
    return head


def fixed_tail(shape: Shape) -> str:
    """Return what every text of this shape ends with."""
    return fixed_head(shape[::-1])[::-1]
