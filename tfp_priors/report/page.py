"""A page of HTML in one file, from sections of text, tables and pictures."""

import base64
import html
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tfp_priors import __version__
from tfp_priors.errors import UserError
from tfp_priors.report.script import POLICY
from tfp_priors.report.script import SCRIPT

_PNG = b"\x89PNG\r\n\x1a\n"

# Smaller pictures are enlarged to this width in CSS pixels: two stand side by side.
_PICTURE_WIDTH = 480

# A number, or a mean with its standard deviation.
_NUMBER = re.compile(r"-?[\d.]+(e[+-]\d+)?( ± .*)?( \(n = \d+\))?")


class Block(Protocol):
    """A part of a section."""

    def html(self) -> str:
        """Its HTML, whole elements, everything from outside escaped."""


class Section(NamedTuple):
    """A heading and what stands under it.

    Attributes:
      title: of the heading, and in the table of contents.
      blocks: in their order.
    """

    title: str
    blocks: Sequence[Block]


class Text(NamedTuple):
    """A paragraph."""

    text: str

    def html(self) -> str:
        return f"<p>{_escape(self.text)}</p>"


class Code(NamedTuple):
    """Preformatted text in a box that scrolls.

    Attributes:
      text: shown as it is.
      label: what it is, for those who do not see the page.
    """

    text: str
    label: str

    def html(self) -> str:
        # The parser drops the first line feed after <pre>.
        return _scrolling(f"<pre>\n{_escape(self.text)}</pre>", self.label)


class Table(NamedTuple):
    """Rows of values by column; the first column is the rows' heading.

    Attributes:
      rows: the columns are all keys in the order they first appear.
      caption: what the table is.
      is_sortable: its headings sort it, and any two of its columns of numbers are
        shown as a plane of points; see `script`.
    """

    rows: Sequence[Mapping[str, Any]]
    caption: str
    is_sortable: bool = False

    def html(self) -> str:
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        cells = [[text(row.get(name)) for name in columns] for row in self.rows]
        kinds = [_kind(column) for column in zip(*cells, strict=True)]
        head = "".join(
            f'<th scope="col"{kind}>{_escape(name)}</th>'
            for name, kind in zip(columns, kinds, strict=True)
        )
        body = "\n".join(f"<tr>{_row(row, kinds)}</tr>" for row in cells)
        opening = '<table class="sortable">' if self.is_sortable else "<table>"
        # Within the table, the caption would scroll with it.
        return (
            f'<figure class="table"><figcaption>{_escape(self.caption)}</figcaption>\n'
            + _scrolling(
                f"{opening}\n<thead><tr>{head}</tr></thead>\n"
                f"<tbody>\n{body}\n</tbody>\n</table>",
                self.caption,
            )
            + "</figure>"
        )


class KeyValues(NamedTuple):
    """Names and their values."""

    values: Mapping[str, Any]

    def html(self) -> str:
        items = "\n".join(
            f"<div><dt>{_escape(key)}</dt><dd>{_escape(text(value))}</dd></div>"
            for key, value in self.values.items()
        )
        return f"<dl>\n{items}\n</dl>"


class Picture(NamedTuple):
    """A picture with its caption.

    Attributes:
      content: of a PNG or SVG file.
      caption: shown under it.
      alt: what is to be seen, for those who do not see it.
      is_drawing: whether its dark lines on nothing may turn light on a dark page.
    """

    content: bytes
    caption: str
    alt: str
    is_drawing: bool = False

    @classmethod
    def read(cls, path: str | Path, caption: str, alt: str) -> "Picture":
        """The picture of a file.

        Raises:
          UserError: if it is neither PNG nor SVG.
        """
        content = Path(path).read_bytes()
        if _media_type(content) is None:
            raise UserError(
                f"{path} is no picture: expected a PNG or SVG file. Make it anew, or "
                "remove it."
            )
        return cls(content, caption, alt)

    def html(self) -> str:
        kind = _media_type(self.content)
        data = base64.b64encode(self.content).decode("ascii")
        size = ""
        if kind == "image/png":
            width, height = struct.unpack(">II", self.content[16:24])
            scale = max(1.0, _PICTURE_WIDTH / max(1, width))
            size = f' width="{width * scale:.0f}" height="{height * scale:.0f}"'
        drawing = ' class="drawing"' if self.is_drawing else ""
        return (
            f'<figure><img{drawing}{size} alt="{_escape(self.alt)}" '
            f'src="data:{kind};base64,{data}">'
            f"<figcaption>{_escape(self.caption)}</figcaption></figure>"
        )


class Details(NamedTuple):
    """Blocks that are folded away under a line.

    Attributes:
      summary: the line.
      blocks: what it unfolds.
    """

    summary: str
    blocks: Sequence[Block]

    def html(self) -> str:
        return (
            f"<details><summary>{_escape(self.summary)}</summary>\n"
            f"{_join(self.blocks)}\n</details>"
        )


def page(title: str, sections: Sequence[Section]) -> str:
    """A page in one file, which can be read without its script.

    Args:
      title: of the page.
      sections: each gets an entry in the table of contents.

    Returns:
      A text of HTML.
    """
    named = [(f"section-{i}", section) for i, section in enumerate(sections, 1)]
    contents = "\n".join(
        f'<li><a href="#{name}">{_escape(section.title)}</a></li>'
        for name, section in named
    )
    body = "\n".join(
        f'<section aria-labelledby="{name}">\n'
        f'<h2 id="{name}">{_escape(section.title)}</h2>\n{_join(section.blocks)}\n'
        "</section>"
        for name, section in named
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{_escape(title)}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{_escape(title)}</h1>
<nav aria-label="Contents">
<ul>
{contents}
</ul>
</nav>
</header>
<main>
{body}
</main>
<footer><p>tfp_priors {_escape(__version__)}</p></footer>
<script>{SCRIPT}</script>
</body>
</html>
"""


def text(value: Any) -> str:
    """A value as a reader wants it: floats with four digits, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(text(item) for item in value)
    return str(value)


def _escape(value):
    return html.escape(str(value))


def _join(blocks: Iterable[Block]) -> str:
    return "\n".join(block.html() for block in blocks)


def _kind(column):
    numeric = all(_NUMBER.fullmatch(value) for value in column if value)
    return ' class="number"' if numeric else ""


def _row(cells, kinds):
    first, *others = (
        f"{kind}>{_escape(cell)}" for cell, kind in zip(cells, kinds, strict=True)
    )
    return f'<th scope="row"{first}</th>' + "".join(f"<td{o}</td>" for o in others)


def _scrolling(content, label):
    # With a tabindex, it scrolls by the keyboard too.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_escape(label)}">'
        f"{content}</div>"
    )


def _media_type(content):
    if content.startswith(_PNG) and len(content) >= 24:
        return "image/png"
    return "image/svg+xml" if b"<svg" in content[:1000] else None


STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1c2024; --soft: #5c6670; --ground: #ffffff; --box: #f4f5f7;
  --line: #d9dde2; --accent: #0b5cad;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e7eb; --soft: #9aa5b1; --ground: #15181c; --box: #1f242a;
    --line: #363d45; --accent: #7cb8f5;
  }
  .drawing { filter: invert(1) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 66rem;
  font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  overflow-wrap: anywhere;
}
h1 { margin: 0.5rem 0; font-size: 1.75rem; line-height: 1.2; }
h2 {
  margin: 2.5rem 0 0.75rem; padding-bottom: 0.25rem; font-size: 1.25rem;
  border-bottom: 1px solid var(--line);
}
p { margin: 0.75rem 0; max-width: 46rem; }
a { color: var(--accent); }
nav ul {
  display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; margin: 0; padding: 0;
  list-style: none;
}
nav a { display: inline-block; padding: 0.25rem 0; }
dl { margin: 0.75rem 0; }
dl div {
  display: grid; grid-template-columns: 16rem minmax(0, 1fr); gap: 0 1rem;
  padding: 0.2rem 0;
}
dt { color: var(--soft); }
dd { margin: 0; max-width: 46rem; }
.scroll { overflow: auto; }
.scroll:has(> pre), .scroll:has(> .sortable) { max-height: 32rem; }
.sortable thead th { position: sticky; top: 0; background: var(--ground); }
.scroll:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; overflow-wrap: normal; }
th, td { padding: 0.3rem 0.9rem 0.3rem 0; text-align: left; vertical-align: baseline; }
thead th { border-bottom: 1px solid var(--line); color: var(--soft); font-weight: 500; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tbody th { font-weight: 500; }
td, tbody th { white-space: nowrap; }
td { font-variant-numeric: tabular-nums; }
.number { text-align: right; }
.sortable button {
  padding: 0; border: 0; background: none; font: inherit; color: inherit;
  cursor: pointer;
}
.sortable button:hover, .sortable [aria-sort] button { color: var(--accent); }
.sortable [aria-sort="ascending"] button::after { content: " \\2191"; }
.sortable [aria-sort="descending"] button::after { content: " \\2193"; }
figure.plane { display: block; max-width: 40rem; }
.plane label { display: inline-block; margin-right: 1rem; }
.plane select { font: inherit; max-width: 100%; color: var(--ink);
  background: var(--ground); }
.plane svg { display: block; width: 100%; margin-top: 0.5rem; }
.plane line { stroke: var(--line); }
.plane text { fill: var(--soft); font-size: 12px; }
.plane circle { fill: var(--accent); fill-opacity: 0.7; }
.plane circle:hover, .plane circle:focus-visible { fill: var(--ink); outline: none; }
pre {
  margin: 0; padding: 0.75rem; width: max-content; min-width: 100%;
  font: 0.85rem/1.45 ui-monospace, monospace; background: var(--box);
}
figure.table { display: block; margin: 1.25rem 0; }
figure {
  display: inline-block; margin: 0.75rem 1rem 0.75rem 0; max-width: 100%;
  vertical-align: top;
}
img { display: block; max-width: 100%; height: auto; background: #ffffff; }
.drawing { background: none; }
/* The caption must not widen the figure beyond its picture. */
figcaption {
  width: 0; min-width: 100%; padding: 0.4rem 0; font-size: 0.9rem; color: var(--soft);
}
details { border-bottom: 1px solid var(--line); }
summary { padding: 0.5rem 0; cursor: pointer; }
footer { margin-top: 3rem; font-size: 0.85rem; color: var(--soft); }
@media (max-width: 40rem) {
  dl div { grid-template-columns: minmax(0, 1fr); padding: 0.35rem 0; }
  figure { margin-right: 0; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 0.8rem; }
  nav { display: none; }
  h2 { break-after: avoid; }
  figure:not(.table), tr { break-inside: avoid; }
  .scroll, .scroll:has(> pre), .scroll:has(> .sortable) {
    overflow: visible; max-height: none;
  }
  pre { width: auto; white-space: pre-wrap; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
