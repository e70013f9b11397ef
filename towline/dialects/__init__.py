"""Dialects: how each sender tells what happened, turned into events of ours. Pure: no I/O, no clock.

A dialect is a function from a delivery to what it tells; :data:`DIALECTS` is the one list of them.
"""

from collections.abc import Mapping
from typing import Final

from towline.dialects import (
    acr,
    aliyun,
    cloudevents,
    distribution,
    dockerhub,
    dtr,
    ecr,
    gar,
    ghcr,
    harbor,
    jfrog,
    nexus,
    quay,
    zot,
)
from towline.dialects.delivery import Delivery, Dialect, Fact, Handshake, Hint, Notice, Translation
from towline.dialects.handshakes import answer_options
from towline.dialects.reasons import shown
from towline.errors import UnusableInputError

__all__ = [
    "DIALECTS",
    "Delivery",
    "Dialect",
    "Fact",
    "Handshake",
    "Hint",
    "Notice",
    "Translation",
    "answer_options",
    "translate",
]

DIALECTS: Final[Mapping[str, Dialect]] = {
    "acr": acr.translate,
    "aliyun": aliyun.translate,
    "cloudevents": cloudevents.translate,
    "distribution": distribution.translate,
    "dockerhub": dockerhub.translate,
    "dtr": dtr.translate,
    "ecr": ecr.translate,
    "gar": gar.translate,
    "ghcr": ghcr.translate,
    "harbor": harbor.translate,
    "jfrog": jfrog.translate,
    "jfrog-subdomain": jfrog.translate_subdomain,
    "nexus": nexus.translate,
    "nexus-path": nexus.translate_path,
    "quay": quay.translate,
    "zot": zot.translate,
}


def translate(dialect: str, delivery: Delivery, registry: str | None) -> Translation:
    """Return what a delivery tells, all of it or nothing.

    ``registry`` is the name of the registry that the sender speaks for, None when it names the registry itself.

    Raises:
        UnusableInputError: the dialect is unknown, or any part of the delivery cannot be used.
    """
    read = DIALECTS.get(dialect)
    if read is None:
        raise UnusableInputError(f"dialect {shown(dialect)} is unknown; known are {', '.join(sorted(DIALECTS))}")
    return read(delivery, registry)
