"""Runs of earlier releases, and of later ones.

For each format of a run there is an archive in tests/old_runs, made once by the release
that began it: the folder `run`, without pictures and TensorBoard's events, and
`samples.npy`, what `sample(4, seed=7)` of its model gave. They are never made again.
"""

import json

import numpy as np
import pytest

from tests import commands
from tests.commands import ROOT
from tfp_priors import config
from tfp_priors.data import ImageDataset
from tfp_priors.data import archives
from tfp_priors.errors import UserError
from tfp_priors.runs import run_dir
from tfp_priors.training import Checkpoints

ARCHIVES = sorted((ROOT / "tests" / "old_runs").glob("format_*.tar.gz"))
LIMITS = archives.Limits(members=20, member_bytes=2**20, total_bytes=2**22)


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.split(".")[0])
def old(request, tmp_path):
    """The unpacked folder of an archive."""
    archives.untar(request.param, tmp_path, LIMITS)
    return tmp_path


def test_each_format_has_a_run():
    numbers = [int(path.name.split(".")[0].split("_")[1]) for path in ARCHIVES]
    assert numbers == list(range(1, run_dir.FORMAT + 1))


def test_a_run_of_an_earlier_release_samples_the_same_images(old):
    run = config.load_run(old / "run")
    assert run.dataset == "embedded_digits"
    expected = np.load(old / "samples.npy")
    received = run.model.sample(4, seed=7)
    np.testing.assert_allclose(received, expected, atol=1e-5)
    # The images differ by more than that.
    assert expected.std(axis=0).max() > 1e-2
    codes = run.model.encode(expected)
    round_trip = run.model.from_base(run.model.to_base(codes))
    np.testing.assert_allclose(round_trip, codes, atol=1e-4)


def test_a_run_of_an_earlier_release_goes_on(old, monkeypatch, faults):
    images = np.random.RandomState(0).randint(0, 256, (50, 8, 8, 1)).astype(np.uint8)

    def fake(split, data_dir=None):
        del split, data_dir
        return ImageDataset(images, {}, (8, 8, 1))

    monkeypatch.setattr(config, "_load_dataset", fake)
    folder = old / "run"
    (step,) = Checkpoints(folder / "checkpoints").steps()
    gin_file = str(folder / "config.gin")
    result = config.train(folder, [gin_file], [f"train.steps = {step + 1}"])
    assert (result.start_step, result.step) == (step, step + 1)
    assert [int(o.iterations) for o in result.model.optimizers.values()] == [
        step + 1
    ] * 2
    faults.add(
        "another release",
        "a run of the first format, kept with the tests",
        "samples the same images, and its training goes on",
    )


def test_a_run_of_a_later_release_is_refused(old, faults):
    path = old / "run" / "environment.jsonl"
    record = json.loads(path.read_text())
    newer = record | {"format": run_dir.FORMAT + 1, "tfp_priors": "9.0"}
    path.write_text(f"{json.dumps(record)}\n{json.dumps(newer)}\n")
    # What only that release can read.
    (old / "run" / "config.gin").write_text("Later.value = 1\n")
    message = f"newer release of tfp_priors, 9.0, in format {run_dir.FORMAT + 1}; "
    with pytest.raises(UserError, match=message):
        config.load_run(old / "run")
    with pytest.raises(UserError, match=message):
        config.train(old / "run", [str(ROOT / "gin" / "embedded_digits_beta0.gin")])
    line = commands.refused("sample", run_dir=old / "run", out=old / "grid.png")
    assert message in line and line.endswith("update it.")
    faults.add("another release", "a run of a later format", "refused in one line")


def test_a_run_without_a_format_is_of_the_first(tmp_path):
    run_dir.check_format(tmp_path)
    (tmp_path / "environment.jsonl").write_text('{"tfp_priors": "0.1.0"}\n')
    run_dir.check_format(tmp_path)


def test_a_checkpoint_of_a_later_release_is_refused(old):
    (path,) = (old / "run").rglob("checkpoint.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(UserError, match="step_.* was written by a newer release"):
        config.load_run(old / "run")
