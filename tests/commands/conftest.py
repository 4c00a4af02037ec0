"""A run of bin/train that the commands work on."""

import pytest

from tests import commands
from tests.conftest import randomize
from tfp_priors import config
from tfp_priors.training import checkpoints_of


@pytest.fixture(scope="session")
def trained(tmp_path_factory, data_dir):
    """A short run of bin/train and its SavedModel."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "data").symlink_to(data_dir)
    process = commands.run(
        "train",
        gin_file=commands.GIN,
        gin_param=[*commands.TINY, "train.scalars_every = 10"],
        run_dir=folder / "run",
        data_dir=folder / "data",
        steps=20,
    )
    commands.run("export", run_dir=folder / "run", out=folder / "saved_model")
    return folder, process


def made_up(folder, name, *params):
    """A run of no training, whose weights are noise; its folder and its model."""
    gin_file = str(commands.ROOT / "gin" / f"embedded_digits_{name}.gin")
    text = config.parse([gin_file], [*commands.TINY, *params])
    folder.mkdir()
    (folder / "config.gin").write_text(text)
    model = config.trainer().compiled_model()
    for part in (model.prior, model.decoder):
        randomize(part, scale=0.5)
    checkpoints_of(folder)[0].save(model, 1)
    return folder, model
