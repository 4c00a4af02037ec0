"""The documentation site: all links lead somewhere, and all public names are on it."""

import importlib
import inspect
import io
import pkgutil
import posixpath
import re
import subprocess
import sys

import pytest
from sphinx.util.inventory import InventoryFile

import tfp_priors
from tests.commands import ENVIRONMENT
from tests.commands import ROOT
from tfp_priors import experiments
from tfp_priors.evaluation import metrics

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "docs" / "results").rglob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning"]
    command += ["--keep-going", "-b", "html", "-c", "docs", ".", str(out)]
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return out


def public_names():
    """What rooms show of their own: `room.name` to the class or function."""
    for info in pkgutil.iter_modules(tfp_priors.__path__):
        room = importlib.import_module(f"tfp_priors.{info.name}")
        source = inspect.getsource(room)
        for name, value in vars(room).items():
            is_part = inspect.isclass(value) or inspect.isfunction(value)
            # A room of one function imports its parts for itself.
            is_shown = not source.count("\ndef ") and info.ispkg
            if is_part and not name.startswith("_") and is_shown:
                yield f"{room.__name__}.{name}", value


def test_every_public_name_is_explained():
    names = dict(public_names())
    assert len(names) > 80
    assert not [name for name, value in names.items() if not value.__doc__]


@pytest.mark.slow
def test_every_public_name_is_on_the_site(site):
    inventory = InventoryFile.load(
        io.BytesIO((site / "objects.inv").read_bytes()), "", posixpath.join
    )
    found = {name for kind in inventory.values() for name in kind}
    missing = {name for name, _ in public_names() if name not in found} - {
        # gin's wrapper of training.Trainer.
        "tfp_priors.configuration.Trainer",
    }
    assert not missing


@pytest.mark.slow
def test_the_first_page_leads_on(site):
    page = (site / "index.html").read_text()
    for target in ("docs/house.html", "docs/api/priors.html", "docs/tutorial.html"):
        assert f'href="{target}"' in page


@pytest.mark.slow
def test_docstrings_are_read_as_they_are_meant(site):
    pages = {
        path.stem: path.read_text() for path in (site / "docs/api").rglob("*.html")
    }
    assert {"RealNVPPrior", "InfoGANEncoder", "KLDivergence"} <= set(pages)
    for name, page in pages.items():
        # What was no mark-up, and an item "D." of a list.
        assert "problematic" not in page and "<ol" not in page, name
        assert "(*args, **kwargs)" not in re.sub("<[^>]*>", "", page), name
    blocks = re.findall(r"<pre>(.*?)</pre>", pages["LatentVariableModel"], re.DOTALL)
    assert any("L_theta" in block for block in blocks)
    # The class that another one's docstring sends to.
    coupling = "tfp_priors.priors.coupling.CouplingPrior"
    assert f'href="../../priors.html#{coupling}"' in pages["SplinePrior"]


def commands_on(page):
    """The commands of a page, each in one line."""
    text = re.sub(r"\\\n\s*", "", page.read_text())
    return re.findall(r"^ {4,}(?:\.\.\. )?(bin/\w+ .*|--.*)", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_on_the_pages_name_what_is_there(page):
    for command in commands_on(page):
        for names in re.findall(r"--metrics=([\w,.]+)", command):
            for name in filter(None, names.split(",")):
                metrics.find(name)
        for path in re.findall(r"--gin_file=\"?(gin/[\w/]+\.gin)", command):
            if path == path.lower():  # Else a part is the reader's.
                assert experiments.gin_files(path)[0].is_file(), path


def test_pages_have_commands():
    found = [command for page in PAGES for command in commands_on(page)]
    assert sum("--metrics=" in command for command in found) > 20
    assert sum("--gin_file=" in command for command in found) > 50
