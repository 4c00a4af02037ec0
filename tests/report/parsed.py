"""Reads a page back: its elements, its tables, and whether it is well formed."""

from html.parser import HTMLParser

from tfp_priors.report.script import SCRIPT

_VOID = {"meta", "link", "img", "br", "hr", "input", "source", "wbr"}
_PHRASING = {"a", "img", "span", "code", "em", "strong", "br"}

# Elements whose parents are few.
_PARENTS = {
    "head": {"html"},
    "body": {"html"},
    "title": {"head"},
    "li": {"ul", "ol"},
    "dt": {"dl", "div"},
    "dd": {"dl", "div"},
    "thead": {"table"},
    "tbody": {"table"},
    "tr": {"thead", "tbody"},
    "th": {"tr"},
    "td": {"tr"},
    "figcaption": {"figure"},
    "summary": {"details"},
}


class Element:
    """An element: its name, attributes, children and the text within."""

    def __init__(self, tag, attributes, parent):
        self.tag = tag
        self.attributes = attributes
        self.parent = parent
        self.children = []
        self.pieces = []

    @property
    def text(self) -> str:
        return "".join(
            piece if isinstance(piece, str) else piece.text for piece in self.pieces
        )

    def all(self, tag: str | None = None):
        """The elements within, in the order of the page."""
        for child in self.children:
            if tag in (None, child.tag):
                yield child
            yield from child.all(tag)


class _Parser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.root = Element("", {}, None)
        self.current = self.root

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"an attribute of {tag} comes twice"
        parent = self.current
        if tag in _PARENTS:
            assert parent.tag in _PARENTS[tag], f"{tag} in {parent.tag}"
        if parent.tag in ("p", "h1", "h2", "figcaption", "summary", "pre", "a"):
            assert tag in _PHRASING, f"{tag} in {parent.tag}"
        if parent.tag in ("ul", "dl", "table", "thead", "tbody", "tr"):
            assert tag in {*_PARENTS, "div"}, f"{tag} in {parent.tag}"
        element = Element(tag, dict(attrs), parent)
        parent.children.append(element)
        parent.pieces.append(element)
        if tag not in _VOID:
            self.current = element

    def handle_endtag(self, tag):
        assert self.current.tag == tag, f"</{tag}> in {self.current.tag}"
        self.current = self.current.parent

    def handle_data(self, data):
        self.current.pieces.append(data)


def parse(text: str) -> Element:
    """The elements of a page, above them one without a name.

    Raises:
      AssertionError: if an element is not closed, or stands where it must not.
    """
    assert text.startswith("<!DOCTYPE html>")
    parser = _Parser()
    parser.feed(text)
    parser.close()
    assert parser.current is parser.root, f"{parser.current.tag} is not closed"
    return parser.root


def assert_self_contained(root: Element) -> None:
    """Nothing on the page points beyond it, and its anchors exist."""
    names = [e.attributes["id"] for e in root.all() if "id" in e.attributes]
    assert len(set(names)) == len(names)
    (script,) = root.all("script")
    assert script.text == SCRIPT and not script.attributes
    for element in root.all():
        assert element.tag not in ("iframe", "object", "embed", "form")
        for attribute, value in element.attributes.items():
            assert not attribute.startswith("on")
            assert attribute not in ("srcset", "style", "action", "poster")
            if attribute in ("src", "href"):
                is_anchor = value.startswith("#") and value[1:] in names
                assert is_anchor or value.startswith("data:"), value
            if attribute == "aria-labelledby":
                assert value in names
        if element.tag == "img":
            assert element.attributes["alt"]
        if element.tag == "th":
            assert element.attributes["scope"] in ("row", "col")
        if element.tag == "style":
            assert "url(" not in element.text and "@import" not in element.text
    (html,) = root.children
    assert html.attributes["lang"] == "en"
    assert len(list(root.all("h1"))) == 1


def tables(root: Element) -> dict[str, list[dict[str, str]]]:
    """The rows of each table by its caption."""
    found = {}
    for table in root.all("table"):
        figure = table.parent.parent
        caption = next(figure.all("figcaption")).text
        header, *lines = ([c.text for c in row.children] for row in table.all("tr"))
        assert caption not in found
        found[caption] = [dict(zip(header, line, strict=True)) for line in lines]
    return found


def values(root: Element) -> dict[str, str]:
    """The texts of the key-value lists that are not folded away; no key comes twice."""
    folded = [item for details in root.all("details") for item in details.all("dt")]
    found = {}
    for item in root.all("dt"):
        if item not in folded:
            assert item.text not in found
            found[item.text] = item.parent.children[1].text
    return found
