"""A real training process, killed for real."""

import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests import commands

# Like bin/train, with TensorFlow's op determinism switched on.
_DETERMINISTIC = """
import sys
import tensorflow as tf
tf.config.experimental.enable_op_determinism()
from tfp_priors import config
run_dir, data_dir, *params = sys.argv[1:]
config.train(run_dir, ["gin/embedded_digits_beta0.gin"], params, data_dir)
"""
_STEPS = 120
_PARAMS = (
    *commands.TINY,
    "LatentVariableModel.posterior = @NormalPosterior()",
    f"train.steps = {_STEPS}",
    "train.batch_size = 8",
    "train.scalars_every = 1",
    "train.checkpoint_every = 20",
)


def start(run_dir, data_dir):
    return subprocess.Popen(
        [sys.executable, "-c", _DETERMINISTIC, str(run_dir), str(data_dir), *_PARAMS],
        cwd=commands.ROOT,
        env=commands.ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )


def final_state(run_dir):
    state = {}
    path = run_dir / "checkpoints" / f"step_{_STEPS:08d}" / "state.weights.h5"
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                state.update({name: item[()]})
                if isinstance(item, h5py.Dataset) and "_means" not in name
                else None
            )
        )
    return state


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    process = start(folder / "run", folder / "data")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return folder


@pytest.mark.parametrize("kill_at", [pytest.param(33, marks=pytest.mark.slow), 95])
def test_killed_run_ends_with_the_same_bits(uninterrupted, tmp_path, kill_at):
    process = start(tmp_path / "run", uninterrupted / "data")
    for line in process.stderr:
        if line.startswith(f"step {kill_at}/"):
            # The next step is under way by now.
            os.kill(process.pid, signal.SIGKILL)
    process.stderr.close()
    assert process.wait() == -signal.SIGKILL
    process = start(tmp_path / "run", uninterrupted / "data")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert f"step {kill_at // 20 * 20 + 1}/" in errors
    assert "step 1/" not in errors
    expected, received = map(final_state, (uninterrupted / "run", tmp_path / "run"))
    assert expected.keys() == received.keys()
    assert len(expected) > 60
    for name, value in expected.items():
        np.testing.assert_array_equal(value, received[name], err_msg=name)
