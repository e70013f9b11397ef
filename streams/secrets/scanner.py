"""Searching records for secrets, in everything that a record can hide them in."""

import base64
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson
import re2

from streams.log import LogRecord, Position
from streams.secrets.forms import forms
from streams.secrets.shapes import SHAPES
from towline.errors import TowlineError

CREDENTIAL: Final = "credential"
"""The kind of a finding that is a credential of the settings."""

#: Texts in texts: a dead letter holds, in base64, a body that holds JSON, that holds a text of JSON.
_DEPTH: Final = 6

#: What base64 of something looks like, in both alphabets; shorter has no room for a secret.
_ENCODED: Final = re.compile(rb"[A-Za-z0-9+/_-]{20,}")
_HEX: Final = re.compile(rb"[a-f0-9]+")
_ESCAPE: Final = re.compile(rb"\\(?:u([A-Fa-f0-9]{4})|(.))", re.DOTALL)
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")

#: What looked like base64 and held nothing, so that it need not be looked into again: a few megabytes of it.
_REMEMBERED_COUNT: Final = 20_000
_REMEMBERED_BYTES: Final = 128

#: A name of a member that can be printed; others could be the secret.
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret in a record. What it is, is not told."""

    kind: str
    topic: str
    partition: int
    offset: int
    #: Where in the record, such as ``value.data.reason``.
    path: str
    #: Of a credential, the reference in the settings.
    reference: str | None = None

    @property
    def place(self) -> str:
        """Kind and place, as they are allowed."""
        return f"{self.kind}@{Position(self.topic, self.partition, self.offset)}"

    def __str__(self) -> str:
        """As people read it."""
        of = f" ({self.reference})" if self.reference else ""
        return f"{self.place}{of}: in {self.path}"


class SecretsFoundError(TowlineError):
    """Records hold secrets, so they are not written to a file. A finding, not a failure."""

    def __init__(self, findings: list[Finding], count: int) -> None:
        super().__init__(f"{count} secret{'' if count == 1 else 's'} found")
        self.findings = findings
        self.count = count


class Scanner:
    """Searches for the values of ``credentials``, by their references, and for well-known shapes.

    ``allowed`` are the findings to be let pass: KIND@PLACE, as :attr:`Finding.place`.
    """

    def __init__(self, credentials: Mapping[str, str], allowed: Collection[str] = ()) -> None:
        self.allowed = frozenset(allowed)
        self.credentials = len(credentials)
        self._searches: list[tuple[str, str | None, Any]] = [
            (kind, None, _compiled(pattern)) for kind, pattern in SHAPES.items()
        ]
        alternatives = [f"(?:{pattern})" for pattern in SHAPES.values()]
        for reference, secret in credentials.items():
            pattern = "|".join(sorted(_literal(form) for form in forms(secret)))
            self._searches.append((CREDENTIAL, reference, _compiled(pattern)))
            alternatives.append(f"(?:{pattern})")
        self._harmless: set[bytes] = set()
        # One pass over what is clean, which nearly all is.
        self._any = _compiled("|".join(alternatives))

    def find(self, record: LogRecord) -> list[Finding]:
        """Return the secrets in a record, but for those that are allowed; of each kind the first place."""
        found: dict[tuple[str, str | None], Finding] = {}
        place = Position(record.topic, record.partition, record.offset)
        for kind, reference, path in self._in_record(record):
            if (kind, reference) not in found:
                found[kind, reference] = Finding(kind, *place, path, reference)
        return [finding for finding in found.values() if finding.place not in self.allowed]

    def _in_record(self, record: LogRecord) -> Iterator[tuple[str, str | None, str]]:
        parts = [("key", record.key), ("value", record.value)]
        for name, content in record.headers:
            parts += [("headers", name.encode()), (f"headers.{self._name(name)}", content)]
        for path, part in parts:
            if part and not self._is_plain(part):
                yield from self._in_bytes(part, path, _DEPTH)

    def _is_plain(self, content: bytes) -> bool:
        """Tell whether bytes hold nothing, and nothing in another form: of what nearly all records are, in one pass."""
        if b"\\" in content or b"%" in content or self._any.search(content) is not None:
            return False
        return all(run in self._harmless or self._is_harmless(run) for run in _ENCODED.findall(content))

    def _is_harmless(self, run: bytes) -> bool:
        """Tell whether what looks like base64 holds nothing; names and ids that do are met over and over."""
        if _HEX.fullmatch(run) is not None:
            return True
        if any(self._in_bytes(_decoded(run), "", _DEPTH - 1)):
            return False
        if len(self._harmless) == _REMEMBERED_COUNT:
            self._harmless.clear()
        if len(run) <= _REMEMBERED_BYTES:
            self._harmless.add(run)
        return True

    def _in_bytes(self, content: bytes, path: str, depth: int) -> Iterator[tuple[str, str | None, str]]:
        """Search bytes, and what they are when read as JSON, in base64 or escaped in some way."""
        members = _members(content) if depth else None
        if members is not None:
            # First, because it knows the place better.
            yield from self._in_members(members, path, depth)
        yield from ((kind, reference, path) for kind, reference in self._hits(content))
        if members is not None or not depth:
            return
        if b"\\" in content:
            # A piece of JSON in a text that is none.
            yield from self._in_bytes(_ESCAPE.sub(_unescaped, content), path, depth - 1)
        for encoded in _ENCODED.findall(content):
            if _HEX.fullmatch(encoded) is None:
                yield from self._in_bytes(_decoded(encoded), path, depth - 1)
        if b"%" in content:
            yield from ((kind, reference, path) for kind, reference in self._hits(unquote_to_bytes(content)))

    def _in_members(self, members: Any, path: str, depth: int) -> Iterator[tuple[str, str | None, str]]:
        stack = [(members, path)]
        while stack:
            value, where = stack.pop()
            if isinstance(value, str):
                yield from self._in_bytes(value.encode(), where, depth - 1)
            elif isinstance(value, list):
                stack += [(item, f"{where}[{number}]") for number, item in enumerate(value)]
            elif isinstance(value, dict):
                for name, item in value.items():
                    yield from self._in_bytes(name.encode(), where, depth - 1)
                    stack.append((item, f"{where}.{self._name(name)}"))

    def _hits(self, content: bytes) -> list[tuple[str, str | None]]:
        if self._any.search(content) is None:
            return []
        return [(kind, reference) for kind, reference, search in self._searches if search.search(content) is not None]

    def _name(self, name: str) -> str:
        return name if _NAME.fullmatch(name) and self._any.search(name.encode()) is None else "?"


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    # Bytes: what is searched need not be text.
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = _PATTERN_BYTES
    return re2.compile(pattern.encode("latin-1"), options)


#: For all patterns together, with some thousand forms of credentials.
_PATTERN_BYTES: Final = 64 * 1024 * 1024


def _literal(content: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in content)


def _members(content: bytes) -> list[Any] | dict[str, Any] | None:
    if content.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        members = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return members if isinstance(members, list | dict) else None


def _unescaped(escape: "re.Match[bytes]") -> bytes:
    code, character = escape.groups()
    return character if code is None else chr(int(code, 16)).encode(errors="replace")


def _decoded(encoded: bytes) -> bytes:
    # A single character at the end is half a byte of nothing.
    usable = len(encoded) - (len(encoded) % 4 == 1)
    standard = encoded[:usable].translate(_STANDARD)
    return base64.b64decode(standard + b"=" * (-len(standard) % 4))
