"""The walks of docs/house.md, in a copy of the tree, as the page has them."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.commands import ROOT
from tests.commands import TINY

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "house.md").read_text()


def listing(start):
    """The indented block of the page that begins with a text."""
    first = rf"    {re.escape(start)}.*\n"
    (block,) = re.findall(rf"\n({first}(?:(?:    .*)?\n)*)", PAGE)
    return re.sub("^    ", "", block, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy with a new prior, metric, data set and launcher, nothing else touched."""
    house = tmp_path_factory.mktemp("house")
    for room in ("bin", "gin", "tfp_priors"):
        shutil.copytree(ROOT / room, house / room)
    package = house / "tfp_priors"

    (package / "priors" / "laplace.py").write_text(listing('"""A prior with'))
    with open(package / "priors" / "__init__.py", "a") as room:
        room.write("from tfp_priors.priors.laplace import LaplacePrior\n")
    model = house / "gin" / "models" / "laplace.gin"
    model.write_text(listing("# A VAE with a Laplace"))
    path = package / "evaluation" / "metrics" / "brightness.py"
    path.write_text(listing('"""How bright'))
    path = package / "sweeps" / "launchers" / "inline.py"
    path.write_text(listing('"""Runs in this'))

    data = listing("# Kuzushiji").replace("kmnist", "dots")
    (house / "gin" / "dots.gin").write_text(data)
    builder = (package / "data" / "builders" / "embedded_digits.py").read_text()
    (package / "data" / "builders" / "dots.py").write_text(
        builder.replace("EmbeddedDigits", "Dots").replace('"embedded_digits"', '"dots"')
    )
    return house


def run(house, name, **flags):
    """What a command of the copy prints."""
    given = [
        f"--{flag}={value}"
        for flag, values in flags.items()
        for value in (values if isinstance(values, (list, tuple)) else [values])
    ]
    process = subprocess.run(
        [sys.executable, str(house / "bin" / name), *given],
        cwd=house,
        env={"PATH": "", "HOME": str(house), "PYTHONPATH": str(house)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_a_prior_a_metric_a_data_set_and_a_launcher_are_one_file_each(house):
    params = [*TINY, "train.batch_size = 8"]
    said = run(
        house,
        "train",
        gin_file="gin/dots_laplace.gin",
        gin_param=params,
        steps=2,
        data_dir=house / "data",
        run_dir=house / "run",
    )
    assert "Step 2." in said
    assert "LaplacePrior" in (house / "run" / "operative_config.gin").read_text()
    listed = run(house, "train", list="true")
    assert "dots " in listed and "A VAE with a Laplace prior" in listed

    said = run(
        house,
        "evaluate",
        run_dir=house / "run",
        data_dir=house / "data",
        metrics="brightness100_test,prior_nll_held_out",
    )
    assert '"name": "brightness100_test"' in said
    assert '"name": "prior_nll_held_out"' in said

    run(
        house,
        "sweep",
        launcher="inline",
        out=house / "sweep",
        gin_file="gin/dots_laplace.gin",
        gin_param=params,
        steps=2,
        grid="LATENT_SIZE=2,3",
        metrics="brightness100_test",
        data_dir=house / "data",
    )
    table = (house / "sweep" / "results.csv").read_text().splitlines()
    assert [line.split(",")[:3] for line in table[1:]] == [
        [size, f"LATENT_SIZE={size}", "brightness100_test"] for size in "23"
    ]
