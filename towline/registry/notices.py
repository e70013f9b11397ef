"""What a registry wants people to know: ``Warning`` headers (OCI distribution specification, "Warnings")."""

import logging
import re
from typing import Final

import httpx

#: Texts of one registry that are told. They are few and the same at every answer; more are a flood.
NOTICE_COUNT: Final = 64
_TEXT_LENGTH: Final = 200

#: The only form that the specification allows.
_WARNING: Final = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")

_logger: Final = logging.getLogger(__name__)


class Notices:
    """The warnings of one registry. Each text goes into the log once."""

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self._told: set[str] = set()

    def note(self, response: httpx.Response) -> None:
        """Tell what an answer warns of, unless it was told before."""
        for value in response.headers.get_list("warning"):
            for text in _WARNING.findall(value):
                plain = _ESCAPED.sub(r"\1", text)[:_TEXT_LENGTH]
                self._tell("".join(char if char.isprintable() else " " for char in plain))

    def _tell(self, text: str) -> None:
        if text not in self._told and len(self._told) < NOTICE_COUNT:
            self._told.add(text)
            _logger.warning("registry %s warns: %s", self._registry, text)
