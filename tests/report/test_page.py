"""The page builder: well-formed, escaped, self-contained."""

import base64

import pytest

from tests.report import folders
from tests.report import parsed
from tfp_priors.errors import UserError
from tfp_priors.report import page

NASTY = '</p></pre><script>alert("1")</script>&amp;<!-- \''


def parse(*blocks):
    text = page.page("Title", [page.Section("Part", blocks)])
    root = parsed.parse(text)
    parsed.assert_self_contained(root)
    return root


def test_everything_from_outside_is_escaped(tmp_path):
    picture = folders.make_picture(tmp_path / "a.png").read_bytes()
    blocks = [
        page.Text(NASTY),
        page.Code(NASTY, NASTY),
        page.Table([{NASTY: NASTY, "b": NASTY}], NASTY),
        page.KeyValues({NASTY: NASTY}),
        page.Picture(picture, NASTY, NASTY),
        page.Details(NASTY, [page.Text(NASTY)]),
    ]
    text = page.page(NASTY, [page.Section(NASTY, blocks)])
    root = parsed.parse(text)
    parsed.assert_self_contained(root)
    for tag in ("title", "h1", "h2", "li", "p", "dt", "dd", "figcaption", "summary"):
        assert next(root.all(tag)).text == NASTY
    # The line feed after <pre> is no part of the text.
    assert next(root.all("pre")).text == f"\n{NASTY}"
    assert [e.text for e in root.all("th")] == [NASTY, "b", NASTY]
    (image,) = root.all("img")
    assert image.attributes["alt"] == NASTY


def test_contents_point_to_sections_also_to_those_of_one_name():
    titles = ["One", "Two words", "One", "±"]
    text = page.page("Title", [page.Section(title, []) for title in titles])
    root = parsed.parse(text)
    parsed.assert_self_contained(root)
    links = {e.attributes["href"][1:]: e.text for e in root.all("a")}
    headings = {e.attributes["id"]: e.text for e in root.all("h2")}
    assert links == headings
    assert list(links.values()) == titles


def test_table_has_all_columns_and_aligns_numbers():
    rows = [
        {"name": "a", "value": 1.23456, "text": "x"},
        {"name": "b", "value": None, "more": "0.50 ± 0.02 (n = 3)"},
    ]
    root = parse(page.Table(rows, "Caption"))
    assert parsed.tables(root)["Caption"] == [
        {"name": "a", "value": "1.235", "text": "x", "more": ""},
        {"name": "b", "value": "", "text": "", "more": "0.50 ± 0.02 (n = 3)"},
    ]
    heads = {e.text: e.attributes for e in root.all("th")}
    numeric = [name for name, given in heads.items() if given.get("class") == "number"]
    assert numeric == ["value", "more"]
    assert heads["name"]["scope"] == "col" and heads["a"]["scope"] == "row"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.875063347, "3.875"),
        (0.004931635, "0.004932"),
        (-18000.4, "-18000"),
        (2e9, "2e+09"),
        (0.0, "0"),
        (float("nan"), "nan"),
        (20000, "20000"),
        (None, ""),
        (["a", 0.5], "a, 0.5"),
        ("1e-3", "1e-3"),
    ],
)
def test_text_of_a_value(value, expected):
    assert page.text(value) == expected


def test_pictures_are_part_of_the_page(tmp_path):
    png = folders.make_picture(tmp_path / "a.png", width=30, height=20)
    svg = tmp_path / "a.svg"
    svg.write_text('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>')
    root = parse(*(page.Picture.read(path, "c", "a") for path in (png, svg)))
    first, second = root.all("img")
    for image, path, kind in ((first, png, "png"), (second, svg, "svg+xml")):
        head, data = image.attributes["src"].split(",")
        assert head == f"data:image/{kind};base64"
        assert base64.b64decode(data) == path.read_bytes()
    # Enlarged, in proportion.
    assert (first.attributes["width"], first.attributes["height"]) == ("480", "320")


def test_a_large_picture_keeps_its_size(tmp_path):
    path = folders.make_picture(tmp_path / "a.png", width=900, height=10)
    (image,) = parse(page.Picture.read(path, "c", "a")).all("img")
    assert (image.attributes["width"], image.attributes["height"]) == ("900", "10")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_no_picture(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match="a.png is no picture: expected a PNG or SVG"):
        page.Picture.read(path, "c", "a")
