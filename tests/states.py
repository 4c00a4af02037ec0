"""The state of a training in a checkpoint, and its comparison bit by bit."""

import h5py
import numpy as np


def checkpoint(run_dir, step, with_means=False):
    """All arrays of a checkpoint by name; the means of the terms if they are wanted."""
    arrays = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset) and (with_means or "_means" not in name):
            arrays[name] = item[()]

    folder = run_dir / "checkpoints" / f"step_{step:08d}"
    with h5py.File(folder / "state.weights.h5") as file:
        file.visititems(add)
    return arrays


def assert_equal(received, expected):
    assert received.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(received[name], value, err_msg=name)
