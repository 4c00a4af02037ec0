"""Data and sizes at the edge: finite numbers, or one line that says what to do."""

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.commands import ROOT
from tfp_priors import config
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.models import Classifier

SHAPE = (28, 28, 1)


def dataset(level=None, size=20, classes=10):
    """Images of noise, or of one grey level."""
    images = np.random.RandomState(0).randint(0, 256, (size, *SHAPE))
    if level is not None:
        images[:] = level
    labels = np.arange(size) % classes
    return ImageDataset(images.astype(np.uint8), {"label": labels}, SHAPE)


#: The data, the batch and the latent size of each case.
CASES = {
    "black": (dataset(level=0), 4, 4),
    "white": (dataset(level=255), 4, 4),
    "gray": (dataset(level=128), 4, 4),
    "one class": (dataset(classes=1), 4, 4),
    "one image": (dataset(size=1), 4, 4),
    "batch 1": (dataset(), 1, 4),
    "latent size 1": (dataset(), 4, 1),
    "latent size 512": (dataset(), 4, 512),
    "all at once": (dataset(level=0, size=1), 1, 2),
}

MODELS = [
    "wae_mmd",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            "aae",
            "beta0",
            "classifier",
            "gmm_beta1",
            "iaf_vae",
            "maf_beta0",
            "prior_aae",
            "rae_gp",
            "spline_beta0",
            "vae",
            "vamp_beta1",
        )
    ),
]

#: What a model cannot do, and says.
SPLIT = "at least 2, received 1: take a GaussianMixturePrior"
PAIRS = "at least 2 codes, received 1: choose a larger train.batch_size"
REFUSED = {
    ("beta0", "latent size 1"): SPLIT,
    ("spline_beta0", "latent size 1"): SPLIT,
    ("wae_mmd", "batch 1"): PAIRS,
    ("wae_mmd", "all at once"): PAIRS,
}


def params(batch, latent, name="vae"):
    return [
        *commands.TINY,
        "load_dataset.name = 'none'",
        f"train.batch_size = {batch}",
        *([] if name == "classifier" else [f"LATENT_SIZE = {latent}"]),
    ]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", MODELS)
def test_a_few_steps_are_finite(name, case, faults):
    data, batch, latent = CASES[case]
    gin_file = str(ROOT / "gin" / f"mnist_{name}.gin")
    config.parse([gin_file], params(batch, latent, name))
    if (name, case) in REFUSED:
        with pytest.raises(UserError, match=REFUSED[name, case]):
            some_steps(config.trainer().compiled_model(), data, batch)
    else:
        some_steps(config.trainer().compiled_model(), data, batch)
    faults.add(
        "data and sizes at the edge",
        "images of one colour, a single class, one image, batch 1, latent size 1 and "
        "512, for 12 models",
        "finite numbers, or one line that says what to do",
    )


def some_steps(model, data, batch):
    model.check_data(data.image_shape, data.features)
    # Without a graph, whose tracing would take the most time.
    for rows in data.training_batches(batch, seed=0).take(2):
        for term, value in model.train_step(rows).items():
            assert np.isfinite(value), term
    for weight in model.weights:
        assert np.isfinite(weight).all(), weight.path
    held_out = {key: tf.constant(value) for key, value in data.take(8).items()}
    scalars, pictures = model.summary_of(held_out)
    for tag, value in (scalars | pictures).items():
        assert np.isfinite(value).all(), tag
    if not isinstance(model, Classifier):
        assert np.isfinite(model.sample(2)).all()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "latent"), [("beta0", 2), ("vae", 1)])
def test_a_run_on_one_black_image(tmp_path, monkeypatch, name, latent):
    data = dataset(level=0, size=1)
    monkeypatch.setattr(config, "_load_dataset", lambda split, data_dir=None: data)
    settings = [*params(1, latent), "train.steps = 3", "train.scalars_every = 1"]
    gin_file = str(ROOT / "gin" / f"mnist_{name}.gin")
    result = config.train(tmp_path / "run", [gin_file], settings)
    assert result.finished
    restored = config.load_run(tmp_path / "run").model
    assert np.isfinite(restored.sample(3)).all()


@pytest.mark.parametrize("size", [1, 5])
def test_a_mixture_of_few_codes_gets_one_line(size):
    config.parse([str(ROOT / "gin" / "mnist_ae_gmm.gin")], params(4, 4))
    trainer = config.trainer()
    model = trainer.compiled_model(at_rest=True)
    parameters, _ = trainer.post_hoc.encode(model, dataset(size=size))
    with pytest.raises(UserError, match=f"codes for a mixture.*, received {size}"):
        model.fit_directly(parameters, 100, seed=0)


def test_a_code_that_cannot_be_split_gets_one_line(tmp_path):
    line = commands.refused(
        "train",
        gin_file="gin/embedded_digits_beta0.gin",
        gin_param=["LATENT_SIZE = 1"],
        run_dir=tmp_path / "run",
    )
    assert "RealNVPPrior expects a latent size of at least 2, received 1" in line
    assert not (tmp_path / "run").exists()
