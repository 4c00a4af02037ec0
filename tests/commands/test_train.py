"""bin/train."""

import pytest

from tests import commands
from tests.commands import GIN


def test_train_reports_and_names_the_next_commands(trained):
    folder, process = trained
    assert "step 20/20" in process.stderr
    assert "images/s" in process.stderr and "left" in process.stderr
    assert "reconstruction" in process.stderr and "prior_nll" in process.stderr
    for command in ("bin/sample", "bin/export", "tensorboard --host=localhost"):
        assert command in process.stdout
    names = {path.name for path in (folder / "run").iterdir()}
    assert names == {
        "checkpoints",
        "config.gin",
        "environment.jsonl",
        "finished.json",
        "lock",
        "operative_config.gin",
        "pictures.json",
        "samples",
        "tensorboard",
    }
    operative = (folder / "run" / "operative_config.gin").read_text()
    assert "LatentVariableModel.beta = 0.0" in operative
    assert "train.steps = 20" in operative
    assert "RealNVPPrior.log_scale_bound = 2.0" in operative


def test_same_run_dir_resumes_and_another_config_is_refused(trained):
    folder, _ = trained
    flags = {
        "gin_file": GIN,
        "run_dir": folder / "run",
        "data_dir": folder / "data",
    }
    params = [*commands.TINY, "train.scalars_every = 1"]
    process = commands.run("train", gin_param=params, steps=22, **flags)
    assert "step 21/22" in process.stderr and "step 20/22" not in process.stderr
    line = commands.refused("train", gin_param=commands.TINY, seed=1, **flags)
    assert "train.seed (unset there, 1 here)" in line


@pytest.mark.slow
def test_train_with_xla_on_a_mirrored_device(trained, tmp_path):
    folder, _ = trained
    flags = {"gin_file": GIN, "data_dir": folder / "data", "steps": 2}
    params = [p for p in commands.TINY if "jit_compile" not in p]
    for strategy in ("one_device", "mirrored"):
        run_dir = tmp_path / strategy
        process = commands.run(
            "train", gin_param=params, strategy=strategy, run_dir=run_dir, **flags
        )
        assert "step 2/2" in process.stderr
