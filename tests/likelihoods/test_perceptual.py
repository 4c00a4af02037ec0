import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.likelihoods import PerceptualLikelihood
from tfp_priors.networks import VGG19Features

SHAPE = (8, 8, 3)


def make(**kwargs):
    keras.utils.set_random_seed(0)
    features = VGG19Features(("relu1_1", "relu2_1"), weights=None)
    likelihood = PerceptualLikelihood(features, **kwargs)
    likelihood.build((None, *SHAPE))
    return likelihood


def logits(images):
    return tf.math.log(images) - tf.math.log1p(-images)


def images(seed, n=3):
    return tf.random.stateless_uniform([n, *SHAPE], [seed, 0], 0.1, 0.9)


def test_zero_for_equal_images_only():
    likelihood = make()
    np.testing.assert_allclose(
        likelihood.log_prob(images(1), logits(images(1))), 0.0, atol=1e-6
    )
    assert (likelihood.log_prob(images(1), logits(images(2))) < -1.0).numpy().all()


def test_value_is_the_weighted_sum_over_layers():
    weights, scale = (0.5, 2.0), 3.0
    likelihood = make(weights=weights, scale=scale)
    a, b = images(1), images(2)
    expected = np.zeros(3)
    layers = zip(weights, likelihood.features(a), likelihood.features(b), strict=True)
    for weight, real, other in layers:
        squares = np.square(np.float64(real) - np.float64(other))
        expected -= scale * weight * 0.5 * squares.mean(axis=(1, 2, 3))
    received = likelihood.log_prob(a, logits(b))
    np.testing.assert_allclose(received, expected, rtol=1e-3)


def test_absolute_differences():
    likelihood = make(norm="l1", weights=(1.0, 0.0))
    a, b = images(1), images(2)
    real, other = (np.float64(likelihood.features(x)[0]) for x in (a, b))
    expected = -np.abs(real - other).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(likelihood.log_prob(a, logits(b)), expected, rtol=1e-3)
    with pytest.raises(UserError, match='norm = "l1" or "l2", received \'l3\''):
        make(norm="l3")


def test_gradient_is_that_of_differences():
    """Central differences along random directions.

    The step is small against the distance to a kink of the network's ReLUs, of which
    few lie within it; they and rounding leave some percent.
    """
    likelihood, real, outputs = make(), images(1, 1), logits(images(2, 1))

    def loss(outputs):
        return -tf.reduce_sum(likelihood.log_prob(real, outputs))

    with tf.GradientTape() as tape:
        tape.watch(outputs)
        value = loss(outputs)
    gradient = tape.gradient(value, outputs)
    for seed in range(5):
        direction = tf.random.stateless_normal(outputs.shape, [seed, 1])
        step = 1e-2 * direction
        difference = (loss(outputs + step) - loss(outputs - step)) / 2e-2
        expected = tf.reduce_sum(gradient * direction)
        scale = tf.norm(gradient)
        np.testing.assert_allclose(difference, expected, atol=0.05 * scale)
    # None reaches the network itself.
    assert not likelihood.trainable_variables


def test_no_gradient_to_the_real_images_is_asked_for():
    likelihood = make()
    real = images(1)
    with tf.GradientTape() as tape:
        tape.watch(real)
        value = tf.reduce_sum(likelihood.log_prob(real, logits(images(2))))
    assert tape.gradient(value, real) is None


@pytest.mark.parametrize(
    "kwargs", [{"scale": 0.0}, {"scale": float("nan")}, {"weights": (1.0, -1.0)}]
)
def test_bad_settings(kwargs):
    with pytest.raises(UserError, match=r"(scale|weights) must be a number in"):
        make(**kwargs)


def test_weights_for_other_layers():
    with pytest.raises(UserError, match="3 weights for 2 layers"):
        make(weights=(1.0, 1.0, 1.0)).log_prob(images(1), images(2))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_less_precision_stays_near(precision):
    """Eight bits of fraction leave 1%; what is compared is a difference of two."""
    likelihood = make()
    expected = likelihood.log_prob(images(1), logits(images(2)))
    for network in likelihood.networks():
        for layer in network._flatten_layers():
            layer.dtype_policy = precision
    received = likelihood.log_prob(images(1), logits(images(2)))
    assert received.dtype == tf.float32
    np.testing.assert_allclose(received, expected, rtol=0.05)


def test_features_do_not_learn(make_model):
    """The loss would make them alike."""
    network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)])
    features = keras.Model(network.inputs, [network.outputs[0]])
    model = make_model(likelihood=PerceptualLikelihood(features))
    learning = {id(v) for group in model.variable_groups().values() for v in group}
    assert learning and not learning & {id(v) for v in features.variables}
