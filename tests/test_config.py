"""Gin files: each builds and steps; mistakes are named."""

import keras
import numpy as np
import pytest

from tests.commands import ROOT
from tests.commands import TINY
from tfp_priors import config
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError

LEAVES = sorted(
    path
    for path in (ROOT / "gin").glob("*.gin")
    if path.stem.rsplit("_", 1)[-1] in ("beta0", "beta1", "vae")
    and path.stem not in ("beta0", "beta1", "vae")
)


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: path.stem)
def test_every_gin_file_builds_and_steps(path, tmp_path, monkeypatch):
    text = config.parse([str(path)], [*TINY, "load_dataset.name = 'none'"])
    shape = eval_tuple(text, "IMAGE_SHAPE")

    def fake_data(split, data_dir=None):
        images = np.random.RandomState(0).randint(0, 256, (8, *shape))
        return ImageDataset(images.astype(np.uint8), {}, shape)

    # The data set may not be reachable; its shape is the configuration's.
    monkeypatch.setattr(config, "_load_dataset", fake_data)
    result = config.train(
        tmp_path / "run",
        [str(path)],
        [*TINY, "load_dataset.name = 'none'", "train.steps = 1"]
        + ["train.batch_size = 4", "train.images_every = 1000"],
    )
    assert result.step == 1
    assert result.model.optimizer.iterations == 1
    for weight in result.model.weights:
        assert np.isfinite(weight).all()
    restored = config.load_run(tmp_path / "run").model
    for a, b in zip(restored.weights, result.model.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def eval_tuple(text, name):
    line = next(line for line in text.splitlines() if line.startswith(f"{name} = "))
    return tuple(int(n) for n in line.split("(")[1].rstrip(")").split(","))


def test_there_are_leaves():
    assert {"cifar10_beta0", "mnist_beta0", "mnist_vae"} <= {p.stem for p in LEAVES}


GIN = str(ROOT / "gin" / "mnist_beta0.gin")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (["train.stepz = 1"], "train has no parameter 'stepz'. Did you mean 'steps'"),
        (["RealNVPPrior.coupling = 1"], "Did you mean 'couplings'"),
        (
            ["RealNVP.couplings = 1"],
            "no configurable 'RealNVP'. Did you mean 'RealNVPP",
        ),
        (["LatentVariableModel.prior = @RealNVPrior()"], "mean 'RealNVPPrior'"),
        (["train.steps = "], "train.steps"),
        (["train.steps"], "train.steps"),
    ],
)
def test_unknown_names_name_the_nearest(params, message):
    with pytest.raises(UserError, match=message) as error:
        config.parse([GIN], params)
    assert "\n" not in str(error.value)


def test_unknown_file_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean .*mnist_beta0.gin"):
        config.parse([GIN.replace("beta0", "betta0")])


def test_missing_values_are_named():
    with pytest.raises(UserError, match="No value for .*load_dataset.name"):
        config.parse([str(ROOT / "gin" / "image_folder_beta0.gin")])
    with pytest.raises(UserError, match="train.model, train.optimizer"):
        config.parse([], [])
    with pytest.raises(UserError, match="IMAGE_SHAPE"):
        config.parse([str(ROOT / "gin" / "base.gin")])


def test_run_of_another_config_names_the_differing_bindings(tmp_path):
    text = config.parse([GIN])
    (tmp_path / "config.gin").write_text(text)
    params = ["LATENT_SIZE = 2", "train.steps = 7", "train.seed = 3"]
    with pytest.raises(UserError) as error:
        config.train(tmp_path, [GIN], params)
    assert "LATENT_SIZE (8 there, 2 here)" in str(error.value)
    assert "train.seed (unset there, 3 here)" in str(error.value)
    assert "train.steps" not in str(error.value)


def test_config_text_is_complete_and_stable():
    text = config.parse([GIN], [f"RealNVPPrior.hidden_sizes = {(8,) * 60}"])
    assert config._bindings(text)["RealNVPPrior.hidden_sizes"].count("8") == 60
    assert "include" not in text


def test_load_run_of_nothing(tmp_path):
    with pytest.raises(UserError, match="is not a run"):
        config.load_run(tmp_path)
    (tmp_path / "config.gin").write_text(config.parse([GIN], TINY))
    with pytest.raises(UserError, match="has no checkpoint"):
        config.load_run(tmp_path)


def test_adam_is_kerass(tmp_path):
    config.parse([GIN])
    import gin

    optimizer = gin.query_parameter("train.optimizer").scoped_configurable_fn()
    assert isinstance(optimizer, keras.optimizers.Adam)
    np.testing.assert_allclose(optimizer.learning_rate, 5e-4)
