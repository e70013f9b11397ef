"""YAML as a tree that knows its lines.

Values are read as they are written: a number that is not a plain whole number, and a date, are texts, so that
``values: [1.10]`` means ``1.10``. Nothing is built from tags, and aliases cannot make a file grow without end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from towline import limits

_LOADER: Final = yaml.CSafeLoader
_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}

Value = str | int | bool | None


class UnreadableYamlError(ValueError):
    """The text is not the YAML that a policy file is written in."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


@dataclass(frozen=True, slots=True)
class Node:
    """A value with the line where it begins; that of a field is the line of its name."""

    line: int
    content: "Value | list[Node] | dict[str, Node]"

    def plain(self) -> Any:
        """Return the value without lines."""
        if isinstance(self.content, dict):
            return {name: node.plain() for name, node in self.content.items()}
        if isinstance(self.content, list):
            return [node.plain() for node in self.content]
        return self.content

    def at(self, path: tuple[str | int, ...]) -> "Node":
        """Return the value at a path, or the last one on the way to it."""
        node = self
        for part in path:
            content: Any = node.content
            is_there = part in content if isinstance(content, dict) else part in range(len(_entries(content)))
            if not is_there:
                break
            node = content[part]
        return node


def _entries(content: Any) -> list[Node]:
    return content if isinstance(content, list) else []


def read_tree(text: str) -> Node | None:
    """Return the value of the only document of a text; None when there is none.

    Raises:
        UnreadableYamlError: the text is not YAML, has several documents, a key twice, a key that is no text, a tag, or
            more values than a policy file can have.
    """
    try:
        return _Reader(yaml.parse(text, Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise UnreadableYamlError(line, f"not YAML: {_said(error, text, line)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UnreadableYamlError(line, "not YAML: there is a control character") from None


def _said(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    lines = text.splitlines()
    if line <= len(lines) and "\t" in lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]:
        return "the line begins with a tab; indent with spaces"
    said = error.problem or "it cannot be read"
    return f"{said} ({error.context})" if error.context else said


class _Reader:
    """Builds the tree from events, so that depth and size have a bound before anything is built."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        #: With each, how many values it has.
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._left = limits.policy_file_value_count

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise UnreadableYamlError(_line(event), "a second document begins; one file has one policy set")
                root = self._value(next(self._events), 0)
        return root

    def _value(self, event: Any, depth: int) -> Node:
        line, before = _line(event), self._left
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise UnreadableYamlError(line, f"*{event.anchor} stands for nothing that came before")
            known, size = self._anchors[event.anchor]
            self._spend(size, line)
            return Node(line, known.content)
        self._spend(1, line)
        if depth > limits.policy_file_depth:
            raise UnreadableYamlError(line, f"nested deeper than {limits.policy_file_depth} levels")
        node = Node(line, self._content(event, depth))
        if event.anchor is not None:
            self._anchors[event.anchor] = node, before - self._left
        return node

    def _spend(self, count: int, line: int) -> None:
        self._left -= count
        if self._left < 0:
            raise UnreadableYamlError(line, f"more than {limits.policy_file_value_count} values, aliases written out")

    def _content(self, event: Any, depth: int) -> "Value | list[Node] | dict[str, Node]":
        if event.tag is not None and event.tag != "!":
            raise UnreadableYamlError(_line(event), f"the tag {event.tag} means nothing here; leave it out")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            entries: list[Node] = []
            while not isinstance(entry := next(self._events), yaml.SequenceEndEvent):
                entries.append(self._value(entry, depth + 1))
            return entries
        return self._mapping(depth)

    def _mapping(self, depth: int) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line, name = _line(event), self._name(event, depth)
            value = self._value(next(self._events), depth + 1)
            if name == "<<":
                merged |= _merged(value, line)
            elif name in fields:
                raise UnreadableYamlError(line, f"{name!r} is written twice; the first is in line {fields[name].line}")
            else:
                fields[name] = Node(line, value.content)
        return merged | fields

    def _name(self, event: yaml.Event, depth: int) -> str:
        key = self._value(event, depth + 1)
        if not isinstance(key.content, str):
            written = event.value if isinstance(event, yaml.ScalarEvent) else "a list or mapping"
            raise UnreadableYamlError(key.line, f"{written} cannot be the name of a field; names are texts")
        return key.content


def _merged(value: Node, line: int) -> dict[str, Node]:
    if not isinstance(value.content, dict):
        raise UnreadableYamlError(line, "`<<` takes the fields of one other mapping, such as *base")
    return value.content


def _scalar(event: yaml.ScalarEvent) -> Value:
    text = str(event.value)
    if not event.implicit[0]:
        return text
    if text in _NULLS:
        return None
    word = text.lower()
    if word in _BOOLEANS and text in {word, word.capitalize(), word.upper()}:
        return _BOOLEANS[word]
    return int(text) if _WHOLE.fullmatch(text) else text


def _line(event: yaml.Event) -> int:
    mark: Any = event.start_mark
    return int(mark.line) + 1
