"""The wheel, in an environment of its own and an empty folder."""

import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from tests.commands import ENVIRONMENT
from tests.commands import ROOT
from tests.commands import TINY


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The console script of a wheel; other packages are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("tfp_priors", "gin"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("setup.py", "README.md"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(built, check=True)
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    (packages,) = environment.glob("lib/*/site-packages")
    # A line of a .pth file is a path, whose own .pth files are not read: this checkout
    # stays unknown.
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))
    (wheel,) = folder.glob("*.whl")
    python = environment / "bin" / "python"
    subprocess.run(
        [*pip, "--python", str(python), "install", "--no-deps", str(wheel)], check=True
    )
    return environment / "bin" / "tfp-priors"


def call(script, folder, *arguments, code=0):
    """What a command writes, run in a folder."""
    environment = ENVIRONMENT | {"PYTHONPATH": ""}
    done = subprocess.run(
        [str(script), *arguments],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        timeout=600,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.mark.slow
def test_from_images_to_samples_in_an_empty_folder(installed, tmp_path):
    params = [f"--gin_param={text}" for text in TINY]
    experiment = "--gin_file=gin/embedded_digits_beta0.gin"
    out = call(installed, tmp_path, "train", experiment, "--data_dir=data", *params)
    assert "tfp-priors sample --run_dir=runs/embedded_digits_beta0" in out
    assert "bin/" not in out
    run = "--run_dir=runs/embedded_digits_beta0"
    call(installed, tmp_path, "sample", run, "--n=4", "--out=grid.png")
    assert (tmp_path / "grid.png").is_file()
    call(installed, tmp_path, "export", run, "--out=sampler")
    flags = ["--saved_model=sampler", "--n=4", "--out=again.png"]
    call(installed, tmp_path, "sample", *flags)
    pictures = [(tmp_path / name).read_bytes() for name in ("grid.png", "again.png")]
    assert pictures[0] == pictures[1]


@pytest.mark.slow
def test_codes(installed, tmp_path):
    np.save(tmp_path / "codes.npy", np.random.RandomState(0).randn(100, 4))
    out = call(installed, tmp_path, "fit_prior", "--codes=codes.npy", "--steps=2")
    assert "tfp-priors sample --run_dir=runs/codes" in out
    call(installed, tmp_path, "sample", "--run_dir=runs/codes", "--out=draws.npy")
    assert np.load(tmp_path / "draws.npy").shape == (64, 4)


@pytest.mark.slow
def test_it_is_the_wheel(installed, tmp_path):
    listed = call(installed, tmp_path, "train", "--list")
    assert "Data sets, gin/DATA.gin:" in listed and "mnist" in listed
    names = call(installed, tmp_path, "--help")
    commands = {path.name for path in (ROOT / "bin").iterdir() if path.suffix == ""}
    assert {line.split()[0] for line in names.splitlines()[1:]} == commands - {
        "bench",
        "docs",
        "quickstart",
        "test",
    }
    python = installed.with_name("python")
    where = "import tfp_priors; print(tfp_priors.__file__)"
    found = call(python, tmp_path, "-c", where)
    assert Path(found.strip()).is_relative_to(installed.parent.parent)


@pytest.mark.slow
def test_mistakes_name_the_console_script(installed, tmp_path):
    line = call(installed, tmp_path, "trian", code=2)
    assert "there is no command 'trian'" in line
    line = call(installed, tmp_path, "evaluate", "--run_dir=.", code=2)
    assert "tfp-priors train" in line and "bin/" not in line
    assert len(line.splitlines()) == 1
