"""bin/explore in Chromium: what the page shows, and what it does when it is touched."""

import math
import re
import shutil
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from playwright.sync_api import sync_playwright

from tests import commands
from tests.report.test_browser import BROWSER

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH")

# On a busy machine.
expect.set_options(timeout=60_000)

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_dir):
    """The folder of a run of a moment."""
    folder = tmp_path_factory.mktemp("explore") / "run"
    commands.run(
        "train",
        gin_file="gin/embedded_digits_beta0.gin",
        run_dir=folder,
        gin_param=commands.TINY,
        data_dir=data_dir,
        steps=20,
    )
    return folder


@pytest.fixture(scope="module")
def address(run, data_dir):
    """Of the page of two runs, which are one."""
    other = run.with_name("other")
    shutil.copytree(run, other)
    flags = {"run_dir": [run, other], "data_dir": data_dir, "port": 0}
    with commands.started("explore", **flags) as (process, output):
        for _ in range(600):
            found = re.search(r"http://127\.0\.0\.1:\d+/", output()[0])
            if found or not process.is_alive():
                break
            time.sleep(0.1)
        assert found, output()
        yield found[0]
        assert "Traceback" not in output()[1]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)


@pytest.fixture
def visit(browser, address):
    """Opens the page; whatever its console says, or it asks of others, is an error."""
    told = []

    def open_page(context=None):
        page = (context or browser.new_context()).new_page()
        page.on("console", lambda line: told.append(line.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda asked: note(asked.url))
        page.goto(address)
        expect(page.locator("#draws .choice")).to_have_count(2 * 64)
        expect(page.locator("#in-hand .run")).to_have_count(2)
        return page

    def note(url):
        if not url.startswith((address, "data:", "blob:")):
            told.append(url)

    yield open_page
    assert not told


def pictures(page, where="#draws"):
    return [image.get_attribute("src") for image in page.locator(f"{where} img").all()]


def slider(page, name):
    return page.get_by_role("group", name=name).get_by_role("slider")


def tab(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def test_seeds_are_other_draws_the_same_in_both_runs_and_over_a_reload(visit):
    page = visit()
    first = pictures(page)
    assert first[:64] == first[64:] and len(set(first)) > 1
    page.get_by_role("button", name="Other draws").click()
    expect(page.locator("#draws")).to_contain_text("--view='draws?seed=1'")
    second = pictures(page)
    assert second != first
    page.reload()
    expect(page.locator("#draws")).to_contain_text("--view='draws?seed=1'")
    assert pictures(page) == second
    # At temperature 0 all draws are one.
    slider(page, "Temperature").press("Home")
    expect(page.locator("#draws")).to_contain_text("temperature=0")
    assert len(set(pictures(page))) == 1
    page.locator("#seed").fill("")
    expect(page.get_by_role("alert")).to_have_text(re.compile("seed is empty"))
    page.get_by_role("button", name="Other draws").click()
    expect(page.locator("#draws .choice")).to_have_count(2 * 64)


def test_two_visitors_do_not_see_each_other(visit):
    one, other = visit(), visit()
    one.locator("#seed").fill("5")
    expect(one.locator("#draws")).to_contain_text("seed=5")
    other.reload()
    expect(other.locator("#draws .choice")).to_have_count(2 * 64)
    expect(other.locator("#draws")).not_to_contain_text("seed=5")


def test_a_draw_in_hand_becomes_the_end_of_a_path(visit):
    page = visit()
    page.locator("#draws .choice").nth(11).click()
    hand = page.locator("#in-hand")
    expect(hand).to_contain_text("draw 11 of seed 0")
    expect(hand).to_contain_text(re.compile(r"log p\(z\) = -?\d+\.\d\d nats"))
    # The draw, and four neighbours of each split, of each run.
    expect(hand.locator("img")).to_have_count(2 * 9)
    page.get_by_role("button", name="End of the path").click()
    tab(page, "Path")
    expect(page.locator("#path")).to_contain_text("to=draw:11:0:1::1")
    expect(page.locator("#path .row")).to_have_count(4)
    at = page.locator("#path-at")
    middle = pictures(page, "#path-at")
    slider(page, "t, from").press("End")
    expect(at.locator("img").nth(1)).not_to_have_attribute("src", middle[1])
    start, by_z0, by_z, end = pictures(page, "#path-at")[:4]
    assert by_z == end != start


def test_the_map_shows_takes_and_draws(visit):
    page = visit()
    tab(page, "Map")
    plot = page.locator("#map-0 .nsewdrag")
    expect(page.locator("#map-0 .point")).not_to_have_count(0)
    expect(page.locator("#about-0")).to_contain_text("% of the codes' variance")
    dots = page.locator("#map-0 .point")
    box = dots.nth(dots.count() // 2).bounding_box()
    x, y = (box[a] + box[b] / 2 for a, b in (("x", "width"), ("y", "height")))
    page.mouse.move(x - 1, y)
    page.mouse.move(x, y)
    expect(page.locator("#hover-0 img")).to_be_visible()
    page.mouse.click(x, y)
    expect(page.locator("#in-hand")).to_contain_text("test image")
    whole = plot.bounding_box()
    x, y = whole["x"] + whole["width"] / 2, whole["y"] + whole["height"] / 2
    radius = 0.45 * min(whole["width"], whole["height"])
    page.mouse.move(x + radius, y)
    page.mouse.down()
    for i in range(40):
        angle = 2 * math.pi * i / 39
        page.mouse.move(x + radius * math.cos(angle), y + radius * math.sin(angle))
    page.mouse.up()
    expect(page.locator("#within-0")).to_contain_text("% of 4,096 draws lie there")
    expect(page.locator("#within-0 .choice")).not_to_have_count(0)
    expect(page.locator("#within-1 .choice")).to_have_count(0)
    page.locator("#within-0 .choice").first.click()
    expect(page.locator("#in-hand")).to_contain_text(" of 4,096 of seed 0")


def test_attributes_move_a_picture_until_they_are_put_back(visit):
    page = visit()
    tab(page, "Attributes")
    expect(page.locator("#edited figure")).to_have_count(2 * 3)
    still = pictures(page, "#edited")
    slider(page, "Class 3").press("End")
    expect(page.locator("#edited")).to_contain_text("edit?of=test:0&3=2")
    assert pictures(page, "#edited")[1:3] != still[1:3]
    page.get_by_role("button", name="All to 0").click()
    expect(page.locator("#edited")).not_to_contain_text("3=2")
    assert pictures(page, "#edited") == still


def test_what_is_uploaded_is_in_hand_or_refused(visit, tmp_path):
    page = visit()

    def upload(name):
        with page.expect_file_chooser() as chooser:
            page.get_by_text("A picture of yours").click()
        chooser.value.set_files(tmp_path / name)

    (tmp_path / "notes.png").write_text("no picture")
    upload("notes.png")
    alert = page.locator("#uploaded").get_by_role("alert")
    expect(alert).to_have_text(re.compile("Cannot read the image notes.png"))
    Image.fromarray(np.full((50, 40, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    upload("grey.png")
    expect(page.locator("#in-hand")).to_contain_text("grey.png")
    page.get_by_role("button", name="Start of the path").click()
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(tmp_path / "light.png")
    upload("light.png")
    expect(page.locator("#in-hand")).to_contain_text("light.png")
    page.get_by_role("button", name="End of the path").click()
    expect(page.locator("#placed")).to_contain_text("grey.png to light.png")
    tab(page, "Path")
    expect(page.locator("#path")).to_contain_text(
        "from=file:grey.png&to=file:light.png"
    )
    # The same file again, after another picture.
    page.get_by_role("button", name="Test image 3").click()
    expect(page.locator("#in-hand")).to_contain_text("test image 3")
    upload("light.png")
    expect(page.locator("#in-hand")).to_contain_text("light.png")
    page.reload()
    expect(page.locator("#in-hand")).to_contain_text("light.png")


def test_a_view_is_saved_as_the_command_makes_it(visit, run, data_dir, tmp_path):
    page = visit()
    page.locator("#seed").fill("7")
    expect(page.locator("#draws")).to_contain_text("seed=7")
    with page.expect_download() as download:
        page.locator("#draws").get_by_role("button", name="Save as PNG").first.click()
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    flags = {"run_dir": run, "data_dir": data_dir, "out": tmp_path / "made.png"}
    commands.run("explore", view="draws?seed=7", **flags)
    made, saved = (np.asarray(Image.open(p)) for p in (flags["out"], saved))
    np.testing.assert_array_equal(made, saved)
    commands.run("sample", run_dir=run, n=64, seed=7, out=tmp_path / "sampled.png")
    np.testing.assert_array_equal(
        made, np.asarray(Image.open(tmp_path / "sampled.png"))
    )


def test_other_hosts_are_refused(address):
    """A page of elsewhere, whose name is led to this machine, gets nothing."""
    request = urllib.request.Request(address, headers={"Host": "elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as answer:
        assert answer.code == 400
