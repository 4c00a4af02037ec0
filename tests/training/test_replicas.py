"""Two replicas take the step that one device takes, for every model of the family."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.commands import ROOT
from tests.commands import TINY
from tfp_priors import config
from tfp_priors.learning.code_learner import CONTEXT
from tfp_priors.models import POSTERIOR
from tfp_priors.training import create_strategy
from tfp_priors.training.workers import Workers

tfd = tfp.distributions

SLOW = sorted(
    path.stem
    for path in (ROOT / "gin" / "models").glob("*.gin")
    # The first is not slow, the second in tests/models/test_progressive_gan.py.
    if path.stem not in ("wae_mmd", "pggan")
)
BATCH, STEPS = 16, 2
SETTINGS = ("LATENT_SIZE = 4", f"train.batch_size = {BATCH}", "train.clip_norm = 5.0")


def trained(name, strategy, settings=(), order=slice(None)):
    """State before and after steps of plain gradient descent, and the last means."""
    bindings = [*TINY, *SETTINGS, *settings, f"train.strategy = {strategy!r}"]
    if name in ("classifier", "keypoints"):
        bindings.remove("LATENT_SIZE = 4")
    data = "mnist"
    if name == "keypoints" or name.startswith("vunet"):
        data = "procedural_people"
    if name.startswith("vunet"):
        bindings.append("LATENT_SIZE = (4, 4, 5)")
    config.parse([str(ROOT / "gin" / f"{data}_{name}.gin")], bindings)
    trainer = config.trainer()
    # Adam's first steps are of one length, whatever the gradient is: they would
    # enlarge the rounding of gradients near 0.
    trainer.optimizers = dict.fromkeys(
        trainer.optimizers, lambda: keras.optimizers.SGD(1e-2)
    )
    if trainer.post_hoc is not None:
        trainer.post_hoc.optimizer = lambda: keras.optimizers.SGD(1e-2)
    model = trainer.compiled_model(at_rest=trainer.post_hoc is not None)
    for i, variable in enumerate(model.trainable_variables):
        noise = np.random.RandomState(i).normal(size=variable.shape, scale=0.02)
        variable.assign_add(noise.astype(np.float32))
    before = state(model)
    random = np.random.RandomState(0)
    images = random.rand(STEPS, BATCH, *model.image_shape).astype(np.float32)
    images = images[:, order]
    labels = random.randint(0, 10, (STEPS, BATCH))
    if trainer.post_hoc is None:
        keypoints = random.uniform(0.1, 0.9, (STEPS, BATCH, 15, 2)).astype(np.float32)
        # One replica can see fewer joints than the other.
        keypoints[:, : BATCH // 4, :9] = -1.0
        data = {"image": images, "label": labels, "keypoints": keypoints[:, order]}
    else:
        data = {POSTERIOR: np.stack([model.posterior_parameters(x) for x in images])}
        if model.conditioner is not None:
            data[CONTEXT] = np.stack([model.context(x) for x in labels])
    dataset = tf.data.Dataset.from_tensor_slices(data)
    workers = Workers(create_strategy(strategy))
    history = model.fit(
        workers.distributed(dataset), shuffle=False, verbose=0, steps_per_epoch=STEPS
    )
    return before, state(model), history.history


def state(model):
    return [variable.numpy() for variable in model.weights]


@pytest.mark.parametrize(
    "name",
    [
        "wae_mmd",
        *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW),
    ],
)
def test_two_replicas_equal_one(name):
    assert_equal(trained(name, "one_device"), trained(name, "mirrored"))


def test_dropout_is_that_of_one_in_networks_with_batch_norm():
    # Where replicas wait for each other in the middle of a step.
    settings = ["train.post_hoc = None", "RealNVPPrior.dropout = 0.5"]
    assert_equal(
        trained("fp_vae", "one_device", settings),
        trained("fp_vae", "mirrored", settings),
    )


@pytest.mark.slow
def test_accumulation_takes_a_part_of_each_share():
    settings = ["train.accumulation = 2"]
    # The first part of replica 0, then that of replica 1, then the second parts.
    order = np.arange(BATCH).reshape(2, 2, -1).swapaxes(0, 1).ravel()
    assert_equal(
        trained("vae", "one_device", settings, order),
        trained("vae", "mirrored", settings),
    )


def assert_equal(of_one, of_two):
    before, one, means = of_one
    same_before, two, means_of_two = of_two
    moved = 0.0
    for a, b, x in zip(before, same_before, one, strict=True):
        np.testing.assert_array_equal(a, b)
        moved = max(moved, np.abs(x - a).max())
    assert moved > 1e-4
    # Sums of float32 in another order: 1e-6 of the largest move was seen, and 1.5e-5
    # for networks of width 1024. Noise by replica made it 0.1.
    for x, y in zip(one, two, strict=True):
        np.testing.assert_allclose(y, x, rtol=0, atol=1e-4 * moved)
    assert means.keys() == means_of_two.keys()
    for key, value in means.items():
        np.testing.assert_allclose(
            means_of_two[key], value, rtol=1e-4, atol=1e-5, err_msg=key
        )
