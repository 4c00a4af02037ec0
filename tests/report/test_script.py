"""A sweep's table in Chromium: sorted and plotted, by the mouse and by the keyboard."""

import pytest
from playwright.sync_api import expect
from playwright.sync_api import sync_playwright

from tests.report.test_browser import BROWSER
from tfp_priors.report import page as pages

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH")

ROWS = [
    {"run": "b", "BETA": "1.0", "fcd": 12.5, "nll": 20.0},
    {"run": "a", "BETA": "1e-2", "fcd": 9.25, "nll": -3.0},
    {"run": "c", "BETA": "0.0", "fcd": 110.0},
    {"run": "d", "BETA": "0.1", "fcd": 30.0, "nll": 7.0},
]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])


@pytest.fixture
def page(browser, tmp_path):
    """The page, whose console says nothing but of scripts that are not run."""
    table = pages.Table(ROWS, "Every run", is_sortable=True)
    other = pages.Table(ROWS, "Not to be sorted")
    sections = [pages.Section("Runs", [table]), pages.Section("Other", [other])]
    (tmp_path / "page.html").write_text(pages.page("Sweep", sections))
    page, told = browser.new_page(), []

    def note(line):
        if "Content Security Policy" not in line.text:
            told.append(line.text)

    page.on("console", note)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    yield page
    assert not told


def order(page):
    return "".join(page.locator(".sortable tbody th").all_text_contents())


def points(page):
    """The names of the points, and where they are."""
    circles = page.locator(".plane circle").all()
    return {
        circle.get_attribute("aria-label").partition(":")[0]: (
            float(circle.get_attribute("cx")),
            float(circle.get_attribute("cy")),
        )
        for circle in circles
    }


def test_numbers_are_sorted_as_numbers_and_what_is_missing_is_last(page):
    assert order(page) == "bacd"
    page.get_by_role("button", name="fcd").click()
    assert order(page) == "abdc"
    page.get_by_role("button", name="fcd").click()
    assert order(page) == "cdba"
    head = page.get_by_role("columnheader", name="fcd").first
    expect(head).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="BETA").click()
    assert order(page) == "cadb"
    expect(head).not_to_have_attribute("aria-sort", "descending")
    for expected in ("adbc", "bdac"):
        page.get_by_role("button", name="nll").click()
        assert order(page) == expected


def test_the_keyboard_sorts_too(page):
    page.get_by_role("button", name="run").focus()
    page.keyboard.press("Enter")
    assert order(page) == "abcd"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert order(page) == "cadb"


def test_two_columns_make_a_plane(page):
    expect(page.get_by_role("group", name="nll over fcd")).to_be_visible()
    found = points(page)
    assert set(found) == set("abd")
    # Along both axes by their values, upwards.
    assert found["a"][0] < found["b"][0] < found["d"][0]
    assert found["a"][1] > found["d"][1] > found["b"][1]
    share = (found["d"][0] - found["a"][0]) / (found["b"][0] - found["a"][0])
    assert share == pytest.approx((30 - 9.25) / (12.5 - 9.25), rel=1e-6)
    page.get_by_label("Up").select_option("BETA")
    expect(page.get_by_role("group", name="BETA over fcd")).to_be_visible()
    assert set(points(page)) == set("abcd")
    page.get_by_label("Across").select_option("nll")
    assert set(points(page)) == set("abd")


def test_only_the_table_that_says_so_is_sortable(page):
    assert page.locator("table:not(.sortable) button").count() == 0
    assert page.locator(".plane").count() == 1


def test_no_other_script_is_run(page):
    with pytest.raises(Exception, match="Content Security Policy"):
        page.add_script_tag(content="document.title = 'taken'")
    assert page.title() == "Sweep"
