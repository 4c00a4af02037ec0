"""Several commands at work in one folder at once."""

import json
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests import commands
from tests.reliability.small_runs import flags_of
from tfp_priors import config
from tfp_priors.data import load_dataset
from tfp_priors.runs import run_dir
from tfp_priors.training import Checkpoints


def _at_once(calls):
    """The exit codes and outputs of commands that run at the same time."""

    def call(name, flags):
        with commands.started(name, **flags) as (process, output):
            process.join(timeout=300)
            return process.exitcode, *output()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda one: call(*one), calls))


def _without_time(line):
    record = json.loads(line)
    del record["time"]
    return record


# Two that write ------------------------------------------------------------------


def test_a_second_training_is_refused(folder, faults):
    flags = flags_of("train", folder, steps=10**6)
    checkpoints = Checkpoints(folder / "run" / "checkpoints")
    with commands.started("train", **flags) as (first, output):
        commands.wait_for(lambda: (checkpoints.newest() or 0) > 10, "no checkpoint")
        line = commands.refused("train", **flags)
        assert f"in use by process {first.pid}" in line
        # SIGTERM ends the step, saves, and exits with 0.
        first.terminate()
        first.join(60)
        stdout, _ = output()
    assert first.exitcode == 0
    step = int(re.search(r"^Stopped at step (\d+)", stdout, re.MULTILINE).group(1))
    assert checkpoints.newest() == step
    faults.add(
        "two at once",
        "bin/train with the run_dir of a bin/train that is at work",
        "one line with the id of the first process, exit code 2; the first goes on",
    )


def test_a_second_sweep_is_refused(folder, faults):
    flags = flags_of("train", folder, out=folder / "sweep", grid="LATENT_SIZE=2,3")
    del flags["run_dir"]
    with commands.started("sweep", **flags) as (first, output):
        logs = folder / "sweep" / "logs"
        commands.wait_for(lambda: list(logs.glob("*.log")), "no run")
        line = commands.refused("sweep", **flags)
        assert f"in use by process {first.pid}" in line
        first.terminate()
        first.join(60)
        assert first.exitcode == 0, output()
    faults.add(
        "two at once",
        "bin/sweep with the folder of a bin/sweep that is at work",
        "one line with the id of the first process, exit code 2; the first goes on",
    )


def test_data_sets_are_prepared_in_one_folder(tmp_path, faults):
    """The same one three times, and another."""
    source = tmp_path / "pictures"
    source.mkdir()
    for i in range(4):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(source / f"{i}.png")
    data_dir = tmp_path / "data"
    same = {"dataset": "embedded_digits", "data_dir": data_dir}
    other = {"dataset": "image_folder/x", "data_dir": data_dir, "source": source}
    calls = [("prepare_data", flags) for flags in (same, other, same, same)]
    for code, stdout, stderr in _at_once(calls):
        assert code == 0 and "prepared" in stdout, stderr
    assert load_dataset("embedded_digits", "train", str(data_dir)).size == 4000
    sizes = [
        load_dataset("image_folder/x", split, str(data_dir)).size
        for split in ("train", "test")
    ]
    assert sum(sizes) == 4
    assert not list(data_dir.rglob("*incomplete*"))
    faults.add(
        "two at once",
        "bin/prepare_data four times with one folder: one data set three times, and "
        "another",
        "both are whole; one process prepares each, the others wait for it",
        times=4,
    )


@pytest.mark.slow
def test_one_of_two_exports_wins(folder, faults):
    flags = flags_of("export", folder)
    codes, _, errors = zip(*_at_once([("export", flags)] * 2), strict=True)
    assert sorted(codes) == [0, 2], errors
    (line,) = errors[codes.index(2)].splitlines()
    assert line.startswith(f"export: {folder / 'out'} exists already")
    flags = {"saved_model": folder / "out", "out": folder / "grid.png", "n": 4}
    commands.run("sample", **flags)
    assert not [path for path in folder.iterdir() if ".tmp" in path.name]
    faults.add(
        "two at once",
        "bin/export twice with one --out",
        "the first to end has written all of it; the other says in one line that it "
        "exists, exit code 2",
    )


# Two that evaluate and one that exports ------------------------------------------


@pytest.mark.slow
def test_evaluations_and_an_export_of_one_run(folder, faults):
    flags = flags_of("evaluate", folder)
    calls = [("evaluate", flags), ("export", flags_of("export", folder))]
    results = _at_once([*calls, calls[0]])
    for code, _, stderr in results:
        assert code == 0, stderr
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()[-2:]
    assert sorted(lines) == sorted(
        stdout.strip() for _, stdout, _ in (results[0], results[2])
    )
    kept = {
        path: path.read_bytes()
        for place in (folder / "cache", folder / "run" / "evaluation" / "activations")
        for path in place.rglob("*.npz")
    }
    # One that is alone, reads what they have kept, and finds the same.
    alone = commands.run("evaluate", **flags)
    assert [_without_time(line) for line in lines] == [_without_time(alone.stdout)] * 2
    assert len(kept) == 4
    assert {path: path.read_bytes() for path in kept} == kept
    sample = {"saved_model": folder / "out", "out": folder / "grid.png", "n": 4}
    commands.run("sample", **sample)
    faults.add(
        "two at once",
        "two bin/evaluate and a bin/export of one run",
        "all end well, with the results of one that is alone",
        times=3,
    )


# One that trains and others that read --------------------------------------------


def _while_training(folder, read):
    """Calls a function while bin/train saves every step and keeps two checkpoints."""
    params = [
        "train.checkpoint_every = 1",
        "train.images_every = 1000",
        "train.scalars_every = 1000",
    ]
    flags = flags_of("train", folder, params, steps=10**6)
    checkpoints = Checkpoints(folder / "run" / "checkpoints")
    with commands.started("train", **flags) as (trainer, output):
        commands.wait_for(lambda: checkpoints.steps()[-1:] > [12], "no checkpoint")
        read()
        assert trainer.exitcode is None, output()
        trainer.terminate()
        trainer.join(60)
        stdout, stderr = output()
    assert trainer.exitcode == 0 and "Traceback" not in stderr
    assert f"Stopped at step {checkpoints.newest()}" in stdout


@pytest.mark.slow
def test_checkpoints_are_read_while_they_come_and_go(folder, faults):
    model = config.load_run(folder / "run").model
    steps = []

    def read():
        end = time.monotonic() + 60
        while time.monotonic() < end and (len(set(steps)) <= 2 or len(steps) < 20):
            # The reader is another one each time.
            checkpoints = Checkpoints(folder / "run" / "checkpoints")
            steps.append(checkpoints.restore(model))
            assert len(checkpoints.checksum(steps[-1])) == 64

    _while_training(folder, read)
    assert steps == sorted(steps) and steps[0] > 10 and len(set(steps)) > 2
    faults.add(
        "two at once",
        "the newest checkpoint is read while bin/train saves every step and removes "
        "old ones",
        "it is whole each time",
        times=len(steps),
    )


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["sample", "export", "evaluate", "figures"])
def test_commands_read_a_run_that_is_trained(reader, folder, faults):
    times = 3
    flags = flags_of(reader, folder)
    if reader == "evaluate":
        flags["metrics"] = "fcd200_test,reconstruction_error500_test"
    steps = []

    def read():
        for _ in range(times):
            process = commands.run(reader, **flags)
            assert "damaged" not in process.stderr
            if reader == "evaluate":
                steps.extend(json.loads(x)["step"] for x in process.stdout.splitlines())
            elif (folder / "out").is_dir():
                shutil.rmtree(folder / "out")

    _while_training(folder, read)
    assert steps == sorted(steps)
    if reader == "evaluate":
        assert len(run_dir.metrics(folder / "run")) == 3
        assert len(set(steps)) > 1
    faults.add(
        "two at once",
        f"bin/{reader} of a run while bin/train saves every step and removes old "
        "checkpoints",
        "it works, with the checkpoint that was the newest",
        times=times,
    )
