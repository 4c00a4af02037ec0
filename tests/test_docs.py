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


def test_every_public_name_is_on_the_site_and_explained(site):
    inventory = InventoryFile.load(
        io.BytesIO((site / "objects.inv").read_bytes()), "", posixpath.join
    )
    found = {name for kind in inventory.values() for name in kind}
    names = dict(public_names())
    assert len(names) > 80
    missing = {name for name in names if name not in found} - {
        # gin's wrapper of training.Trainer.
        "tfp_priors.configuration.Trainer",
    }
    assert not missing
    assert not [name for name, value in names.items() if not value.__doc__]


def test_the_first_page_leads_on(site):
    page = (site / "index.html").read_text()
    for target in ("docs/house.html", "docs/api/priors.html", "docs/tutorial.html"):
        assert f'href="{target}"' in page


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
