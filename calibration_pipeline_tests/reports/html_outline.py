"""A page as a reader's program sees it: what is nested in what, and the text of it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "img", "input", "hr"}


@dataclass
class Element:
    """One element, its attributes, its children and all of its text."""

    tag: str
    attributes: dict[str, str | None]
    children: list["Element"] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())

    def find(self, tag: str) -> list["Element"]:
        """Every element of the tag below this one, in order."""
        found = []
        for child in self.children:
            found += [child] if child.tag == tag else []
            found += child.find(tag)
        return found

    def table(self, caption: str) -> list[list[str]]:
        """Rows of the table with a caption that starts so, as texts."""
        (table,) = [t for t in self.find("table") if t.find("caption")[0].text.startswith(caption)]
        return [
            [cell.text for cell in row.children if cell.tag in ("th", "td")]
            for row in table.find("tr")
        ]


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("document", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        closed = self.open.pop()
        assert closed.tag == tag, f"<{closed.tag}> is closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.pieces.append(data)


def outline(html: str) -> Element:
    """Parse a page; an element that isn't closed in order fails."""
    parser = _Outline()
    parser.feed(html)
    parser.close()
    assert [element.tag for element in parser.open] == ["document"]
    return parser.open[0]
