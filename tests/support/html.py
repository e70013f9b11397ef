"""Pages as a browser sees them: elements with their attributes, and the text that people read."""

from collections.abc import Mapping
from html.parser import HTMLParser

#: Elements that have no end.
VOID = frozenset({"meta", "link", "input", "br"})
#: Elements that are parts of a line of text.
INLINE = frozenset({"a", "code", "strong", "small", "time", "bdi"})


class Page(HTMLParser):
    """Reads a page, and fails where its elements are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, Mapping[str, str]]] = []
        self._open: list[str] = []
        self._texts: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], self._open

    @property
    def text(self) -> str:
        """All that can be read, with single spaces."""
        return " ".join("".join(self._texts).split())

    def values(self, element: str, attribute: str) -> list[str]:
        """The values of an attribute of all elements of a name."""
        return [found[attribute] for name, found in self.elements if name == element and attribute in found]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in INLINE:
            self._texts.append(" ")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._texts.append(data)
