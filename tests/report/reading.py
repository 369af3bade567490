"""A page read back the way a browser reads it."""

from html.parser import HTMLParser

VOID = frozenset({"img", "input", "meta", "br", "link"})


class Reader(HTMLParser):
    """The elements (name, attributes) and the text of a page; raises where tags are not balanced."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.pieces: list[str] = []
        self.inside: list[str] = []
        self.feed(page)
        self.close()
        assert not self.inside, self.inside

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] not in ("style", "script"):
            self.pieces.append(data)

    @property
    def text(self) -> str:
        said = "".join(self.pieces).replace("\N{WORD JOINER}", "")
        return " ".join(said.replace("\N{NO-BREAK SPACE}", " ").split())

    def named(self, tag: str, cls: str = "") -> list[dict[str, str]]:
        """Attributes of the elements with this name and class."""
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and (not cls or cls in attributes.get("class", "").split())
        ]
