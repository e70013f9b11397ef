"""CVSS base scores (https://www.first.org/cvss/), the best that a report has for a vulnerability."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Final

from cvss import CVSS2, CVSS3, CVSS4, CVSSError

from towline.errors import UnusableInputError

#: The base metrics of CVSS 4.0. Without the others the score is the base score; with them it would be CVSS-BT or -BE.
_BASE_METRICS: Final = frozenset({"AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"})


@dataclass(frozen=True, slots=True)
class Rating:
    """What one source says about a vulnerability."""

    source: str
    #: Of CVSS: 2, 3 or 4. The vector knows better.
    version: int
    score: float | None
    vector: str | None


def score_tenths(ratings: Iterable[Rating], preferred: Sequence[str], path: str) -> int | None:
    """Return the base score times ten, 0 to 100; None when no source has one.

    CVSS 3 and 4 come before 2; then the source that comes first in ``preferred``, others after them; then the newer
    version; then the higher score. A source without a score has it computed from its vector; a vector that is none says
    nothing.

    Raises:
        UnusableInputError: a score is not within 0.0 and 10.0; ``path`` says where.
    """
    ranks = {source: rank for rank, source in reversed(list(enumerate(preferred)))}
    best = None
    for rating in ratings:
        tenths = _tenths(rating, path)
        if tenths is None:
            continue
        version = _version(rating)
        candidate = (version == 2, ranks.get(rating.source, len(preferred)), -version, -tenths)
        best = candidate if best is None else min(best, candidate)
    return None if best is None else -best[3]


def _version(rating: Rating) -> int:
    for version in (3, 4):
        if (rating.vector or "").startswith(f"CVSS:{version}"):
            return version
    return rating.version


def _tenths(rating: Rating, path: str) -> int | None:
    if rating.score is not None and not 0 <= rating.score <= 10:
        raise UnusableInputError(f"{path}: the CVSS score {rating.score} is not within 0.0 and 10.0")
    # Tools write 0 for a score that they do not have; where it is meant, the vector says so too.
    if rating.score:
        return int((Decimal(str(rating.score)) * 10).to_integral_value(ROUND_HALF_UP))
    return _computed(rating.vector) if rating.vector else None


@lru_cache(maxsize=4096)
def _computed(vector: str) -> int | None:
    try:
        if vector.startswith("CVSS:4"):
            parts = vector.split("/")
            base = [parts[0], *(part for part in parts[1:] if part.partition(":")[0] in _BASE_METRICS)]
            score = CVSS4("/".join(base)).base_score
        elif vector.startswith("CVSS:3"):
            score = CVSS3(vector).base_score
        else:
            score = CVSS2(vector.strip("()")).base_score
    except CVSSError:
        return None
    return int((Decimal(str(score)) * 10).to_integral_value(ROUND_HALF_UP))
