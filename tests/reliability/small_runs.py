"""Flags of commands that work on the runs of the fixture `made`."""

from tests import commands

GIN = "gin/embedded_digits_beta0.gin"
PARAMS = (
    *commands.TINY,
    "train.batch_size = 8",
    "train.scalars_every = 1",
    "train.images_every = 5",
    "train.checkpoint_every = 5",
    "train.post_hoc = None",
)


def flags_of(command, folder, params=(), **flags):
    """The flags of a command that reads and writes in a folder, and others."""
    run = {"run_dir": folder / "run"}
    data = {"data_dir": folder / "data"}
    networks = {"classifier": folder / "classifier", "cache_dir": folder / "cache"}
    train = {"gin_file": GIN, "gin_param": [*PARAMS, *params], "steps": 20}
    return {
        "train": run | data | train,
        "evaluate": run | data | networks | {"metrics": "fcd200_test"},
        "export": run | {"out": folder / "out"},
        "prepare_data": {"dataset": "embedded_digits", "data_dir": folder / "new"},
        "sample": run | {"out": folder / "out.png", "n": 4},
        "figures": run | data | {"out": folder / "out", "figures": "samples"},
    }[command] | flags
