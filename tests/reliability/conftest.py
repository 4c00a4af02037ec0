"""Runs that tests copy and harm."""

import shutil

import pytest

from tests import commands
from tests.reliability.small_runs import flags_of
from tfp_priors.runs import run_dir


@pytest.fixture(scope="session")
def made(tmp_path_factory, data_dir):
    """With a run that has two checkpoints and results, and a run of a classifier."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "data").symlink_to(data_dir)
    flags = flags_of("train", folder) | {"steps": 10}
    commands.run("train", **flags)
    flags |= {"gin_file": "gin/embedded_digits_classifier.gin"}
    commands.run("train", **(flags | {"run_dir": folder / "classifier"}))
    results = [{"name": "old", "value": i} for i in range(200)]
    run_dir.record_metrics(folder / "run", results)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy."""
    return shutil.copytree(made, tmp_path / "copy", symlinks=True)
