"""Settings and parts that the tests share."""

import gc
import math
import os

import keras
import pytest
import tensorflow as tf

from tests.reliability.faults import Faults
from tfp_priors import divergences
from tfp_priors import likelihoods
from tfp_priors import models
from tfp_priors import posteriors
from tfp_priors import priors

# Two logical devices make a MirroredStrategy; must precede any use of the runtime.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
# Tests of exact resumption need it, and it cannot be switched off again.
tf.config.experimental.enable_op_determinism()

_FAULTS = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption(
        "--faults",
        metavar="FILE",
        help="Markdown file between whose marks the table of provoked faults goes.",
    )


def pytest_configure(config):
    config.stash[_FAULTS] = Faults()
    gc.set_threshold(50_000, 10, 10)


@pytest.fixture(scope="module", autouse=True)
def collected():
    # What is imported and traced by now need not be looked through again and again.
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter, config):
    table = config.stash[_FAULTS].table()
    if table:
        terminalreporter.section("faults")
        terminalreporter.write(table)
    if config.option.faults:
        config.stash[_FAULTS].write(config.option.faults)


@pytest.fixture(scope="session")
def faults(pytestconfig):
    """Counts provoked faults; see `Faults.add`."""
    return pytestconfig.stash[_FAULTS]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A folder where data sets are prepared once, by whichever process is the first."""
    folder = tmp_path_factory.getbasetemp()
    # Each process of pytest-xdist has a folder of its own in that of the session.
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "data"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture
def make_model():
    """Makes a small model; keyword arguments replace its parts."""

    def make(latent_size=4, image_shape=(8, 8, 1), **parts):
        defaults = {
            "encoder": small_encoder(image_shape),
            "decoder": small_decoder(latent_size, image_shape),
            "posterior": posteriors.DeterministicPosterior(latent_size),
            "likelihood": likelihoods.BernoulliLikelihood(),
            "prior": priors.RealNVPPrior(
                latent_size, couplings=1, hidden_sizes=(16,), standardize=True
            ),
            "divergence": divergences.KLDivergence(),
            "beta": 0.0,
        }
        return models.LatentVariableModel(**(defaults | parts))

    return make


def small_encoder(image_shape, units=8):
    """With batch statistics, and little to trace: that takes a test's time."""
    return keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(units),
            keras.layers.BatchNormalization(synchronized=True),
            keras.layers.ReLU(),
        ]
    )


def small_decoder(latent_size, image_shape):
    return keras.Sequential(
        [
            keras.Input([latent_size]),
            keras.layers.Dense(math.prod(image_shape)),
            keras.layers.Reshape(image_shape),
        ]
    )


def randomize(layer, seed=0, scale=0.1):
    """Moves every weight of a layer, so that zero-initialised parts take effect."""
    for i, variable in enumerate(layer.trainable_variables):
        noise = tf.random.stateless_normal(variable.shape, [seed, i])
        variable.assign_add(scale * noise)
