"""Commands killed with signal 9 at random moments, and started again until they end."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import commands
from tests import states
from tfp_priors.data import load_dataset
from tfp_priors.runs import run_dir
from tfp_priors.training import Checkpoints

_SEED = 7
_STEPS = 40
_GIN = "gin/embedded_digits_beta0.gin"
_PARAMS = (
    *commands.TINY,
    "LatentVariableModel.posterior = @NormalPosterior()",
    "train.batch_size = 8",
    "train.scalars_every = 2",
    "train.images_every = 10",
    # Much of the time goes to writing.
    "train.checkpoint_every = 2",
)
_METRICS = "fcd1k_test,two_sample_accuracy_mlp_test,active_units_test"
#: Bits that do not depend on the order in which threads finish.
_ENVIRONMENT = commands.ENVIRONMENT | {"TF_DETERMINISTIC_OPS": "1"}


class Case(NamedTuple):
    """A command that is killed.

    Attributes:
      name: of the command.
      flags: maps a folder of its own, and the shared one, to its flags.
      outcome: maps both to what is there once it has ended.
    """

    name: str
    flags: Callable
    outcome: Callable


def _evaluations(folder, shared):
    run = _copy_of_run(folder, shared)
    return {result["name"]: result["value"] for result in run_dir.metrics(run)}


def _copy_of_run(folder, shared):
    """Another name of the shared checkpoints, so that results are this folder's."""
    run = folder / "run"
    if not run.exists():
        run.mkdir()
        for name in ("checkpoints", "config.gin", "environment.jsonl"):
            (run / name).symlink_to(shared / "run" / name)
    return run


def _samples(folder, _):
    model = tf.saved_model.load(str(folder / "saved_model"))
    return {"images": model.sample(5, 3, 1.0).numpy()}


def _records(folder, _):
    path = folder / "data" / "embedded_digits"
    assert not list(path.glob("incomplete*"))
    assert load_dataset("embedded_digits", "train", str(folder / "data")).size == 4000
    records = sorted(path.rglob("*tfrecord*"))
    return {record.name: np.frombuffer(record.read_bytes(), "u1") for record in records}


def _pictures(folder, _):
    return {
        path.name: np.asarray(Image.open(path)) for path in folder.glob("figures/*.png")
    }


CASES = {
    "train": Case(
        "train",
        lambda folder, shared: {
            "gin_file": _GIN,
            "gin_param": _PARAMS,
            "steps": _STEPS,
            "run_dir": folder / "run",
            "data_dir": shared / "data",
        },
        lambda folder, _: states.checkpoint(folder / "run", _STEPS),
    ),
    "evaluate": Case(
        "evaluate",
        lambda folder, shared: {
            "run_dir": _copy_of_run(folder, shared),
            "classifier": shared / "classifier",
            "metrics": _METRICS,
            "data_dir": shared / "data",
        },
        _evaluations,
    ),
    "export": Case(
        "export",
        lambda folder, shared: {
            "run_dir": shared / "run",
            "out": folder / "saved_model",
        },
        _samples,
    ),
    "prepare_data": Case(
        "prepare_data",
        lambda folder, _: {"dataset": "embedded_digits", "data_dir": folder / "data"},
        _records,
    ),
    "figures": Case(
        "figures",
        lambda folder, shared: {
            "run_dir": shared / "run",
            "figures": "samples,reconstructions,interpolations",
            "out": folder / "figures",
            "data_dir": shared / "data",
        },
        _pictures,
    ),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Data, a run and a classifier, all finished."""
    folder = tmp_path_factory.mktemp("finished")
    flags = CASES["train"].flags(folder, folder)
    commands.run("train", environment=_ENVIRONMENT, **flags)
    flags |= {"gin_file": "gin/embedded_digits_classifier.gin", "gin_param": _PARAMS}
    flags["gin_param"] = [p for p in _PARAMS if "LatentVariable" not in p]
    commands.run("train", **(flags | {"run_dir": folder / "classifier"}))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kills"),
    [
        ("train", 16),
        ("evaluate", 8),
        ("export", 6),
        ("prepare_data", 8),
        ("figures", 4),
    ],
)
def test_killed_command_ends_as_if_it_had_not_been(
    name, kills, request, tmp_path, faults
):
    case = CASES[name]
    shared = tmp_path if name == "train" else request.getfixturevalue("finished")
    whole = tmp_path / "whole"
    whole.mkdir()
    begin = time.monotonic()
    commands.run(name, environment=_ENVIRONMENT, **case.flags(whole, shared))
    duration = time.monotonic() - begin
    expected = case.outcome(whole, shared)
    assert expected

    randomness = random.Random(f"{_SEED} {name}")
    killed = attempt = 0
    while killed < kills:
        attempt += 1
        folder = tmp_path / str(attempt)
        folder.mkdir()
        flags = case.flags(folder, shared)
        # Killed again and again on its way, then left to itself.
        while killed < kills and _killed(name, flags, randomness.uniform(0, duration)):
            killed += 1
            check_whole(folder)
            if killed == kills or randomness.random() < 0.2:
                break
        _end(name, flags)
        check_whole(folder)
        assert not list(folder.rglob("*.tmp"))
        states.assert_equal(case.outcome(folder, shared), expected)
    faults.add(
        f"bin/{name} dies",
        "kill -9 at random moments from its start to its end",
        "no file is half-written; the same command again ends with the same bits",
        times=killed,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_a_training_saves_and_goes_on(number, finished, tmp_path, faults):
    flags = CASES["train"].flags(tmp_path, finished)
    with commands.started("train", environment=_ENVIRONMENT, **flags) as started:
        process, output = started
        while "\nstep 4/" not in f"\n{output()[1]}":
            process.join(0.01)
            assert process.exitcode is None, output()[1]
        os.kill(process.pid, number)
        process.join(60)
        stdout, _ = output()
    assert process.exitcode == 0
    step = Checkpoints(tmp_path / "run" / "checkpoints").newest()
    assert 4 <= step < _STEPS
    assert f"Stopped at step {step}, which is saved" in stdout
    commands.run("train", environment=_ENVIRONMENT, **flags)
    received, expected = (
        states.checkpoint(folder / "run", _STEPS) for folder in (tmp_path, finished)
    )
    states.assert_equal(received, expected)
    faults.add(
        "bin/train is told to stop",
        f"{number.name} while it steps",
        "ends the step, saves, exit code 0; the same command again ends with the same "
        "bits",
    )


def _killed(name, flags, seconds):
    """Whether the command was still at work after so many seconds, and was killed."""
    with commands.started(name, environment=_ENVIRONMENT, **flags) as (process, output):
        process.join(timeout=seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            return True
        assert process.exitcode == 0, output()[1]
        return False


def _end(name, flags):
    """Starts the command once more, which may have done all before it was killed."""
    if name == "export" and Path(flags["out"]).exists():
        assert "exists already" in commands.refused(name, **flags)
        return
    begun = []
    if name == "train":
        begun = Checkpoints(flags["run_dir"] / "checkpoints").steps()
    process = commands.run(name, environment=_ENVIRONMENT, **flags)
    if begun and begun[-1] < _STEPS:
        assert f"step {begun[-1] + 2}/" in process.stderr
        assert f"step {begun[-1]}/" not in process.stderr


def check_whole(folder):
    """Asserts that all files are whole, but for those with names of unfinished ones."""
    for path in folder.rglob("*"):
        names = path.relative_to(folder).parts
        if any(name.startswith((".", "incomplete.")) for name in names):
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".jsonl":
            for line in path.read_text().splitlines():
                json.loads(line)
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                assert len(list(arrays.values())) == 2
        elif path.suffix in (".gin", ".csv", ".svg"):
            assert path.read_text().endswith("\n"), path
        elif path.name == "checkpoints" and not path.is_symlink():
            checkpoints = Checkpoints(path)
            steps = checkpoints.steps()
            assert not steps or checkpoints.newest() == steps[-1]
        elif path.name == "saved_model.pb":
            tf.saved_model.load(str(path.parent))
