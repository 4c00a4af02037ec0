"""Reports in Chromium: nothing is too wide, all pictures show, nothing is fetched."""

import html
import http.server
import json
import re
import shutil
import subprocess
import threading

import pytest

from tests.report import folders
from tfp_priors.report import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
WIDTHS = (390, 1280)

pytestmark = pytest.mark.skipif(
    BROWSER is None,
    reason=f"none of {', '.join(NAMES)} is on the PATH: apt-get install chromium",
)

# Frames of the same origin can be measured from outside, without a script of theirs.
PROBE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Probe</title>
<link rel="icon" href="data:,">
<script>
const errors = [];
addEventListener("error", (event) => errors.push(event.message), true);
addEventListener("load", () => {
  const frames = Array.from(document.querySelectorAll("iframe"), (frame) => {
    const page = frame.contentDocument;
    const title = page.title;
    for (const details of page.querySelectorAll("details")) details.open = true;
    const { scrollWidth, clientWidth } = page.scrollingElement;
    const images = Array.from(page.images, (image) => image.naturalWidth);
    return { title, scrollWidth, clientWidth, images };
  });
  document.querySelector("pre").textContent = JSON.stringify({ frames, errors });
});
</script></head><body><pre></pre>FRAMES</body></html>
"""


class Site:
    """Pages on a free port of this machine, and a list of what was asked for.

    Args:
      pages: HTML by name; a probe that frames each, as wide as `WIDTHS`, is added.
    """

    def __init__(self, pages: dict[str, str]):
        frames = "".join(
            f'<iframe src="{name}" width="{width}" height="800" frameborder="0">'
            "</iframe>"
            for name in pages
            for width in WIDTHS
        )
        self._pages = pages | {"probe.html": PROBE.replace("FRAMES", frames)}
        self.requests: list[str] = []

    def __enter__(self):
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.lstrip("/")
                site.requests.append(name)
                page = site._pages.get(name)
                content = (page or "").encode()
                self.send_response(404 if page is None else 200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def probe(self, profile):
        """What the probe has measured, and the console's lines."""
        command = [
            BROWSER,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            f"--user-data-dir={profile}",
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
            "--dump-dom",
            f"http://127.0.0.1:{self._server.server_port}/probe.html",
        ]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr
        found = re.search(r"<pre>(.+?)</pre>", result.stdout, re.DOTALL)
        assert found, result.stderr
        console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
        return json.loads(html.unescape(found[1])), console


def make_reports(folder):
    long = "a_name_without_a_place_where_a_line_could_break_" * 4
    figures = folder / "figures"
    folders.make_picture(figures / "samples.png", width=300, height=300)
    folders.make_picture(figures / f"{long}.png", width=3000, height=40)
    (figures / "drawing.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="2000" height="50">'
        '<circle cx="25" cy="25" r="20"/></svg>'
    )
    results = [
        {"name": f"{long}{i}", "value": i / 3, "standard_error": 0.01, "floor": 1.0}
        for i in range(30)
    ]
    config = f"{folders.CONFIG}{long} = '{'x' * 900}'\n"
    run = folders.make_run(folder / f"run_{long[:180]}", config, results=results)
    curves = {step: 100.0 / step for step in range(1, 200)}
    events = {f"train/{name}": curves for name in ("loss", "kl", "prior_nll")}
    folders.make_events(run / "tensorboard", events)
    points = [
        ({"model": f"{long[:80]}{i}", "BETA": str(10.0**-j), "seed": str(k)}, i + k / 7)
        for i in range(2)
        for j in range(20)
        for k in range(2)
    ]
    sweep = folders.make_sweep(folder / "sweep", points)
    for name, source in (("run.html", run), ("sweep.html", sweep)):
        write_report(source, figures, folder / name)
        yield name, (folder / name).read_text("utf-8")


def test_reports_fit_show_their_pictures_and_fetch_nothing(tmp_path):
    pages = dict(make_reports(tmp_path))
    with Site(pages) as site:
        measured, console = site.probe(tmp_path / "profile")
    assert set(site.requests) == {"probe.html", *pages}
    assert not measured["errors"] and not console
    frames = measured["frames"]
    assert len(frames) == 4
    for frame, width in zip(frames, WIDTHS * 2, strict=True):
        # Without what a scrollbar takes.
        assert width - 20 <= frame["clientWidth"] <= width
        assert frame["scrollWidth"] <= frame["clientWidth"], frame["title"]
        assert all(frame["images"])
    # Three pictures; the run's page has its curves too.
    assert [len(frame["images"]) for frame in frames] == [4, 4, 3, 3]


def test_the_probe_notices(tmp_path):
    """A page with each of these faults, so that the test above can fail."""
    bad = (
        '<!DOCTYPE html><title>Bad</title><div style="width: 2000px">wide</div>'
        '<img src="missing.png"><script>throw new Error("fault")</script>'
    )
    with Site({"bad.html": bad}) as site:
        measured, console = site.probe(tmp_path / "profile")
    assert "missing.png" in site.requests
    for frame in measured["frames"]:
        assert frame["scrollWidth"] > frame["clientWidth"]
        assert frame["images"] == [0]
    assert any("fault" in line for line in console)
