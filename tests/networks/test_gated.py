import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from tests.networks.test_residual import count
from tfp_priors.errors import UserError
from tfp_priors.networks import GatedDecoder
from tfp_priors.networks import GatedEncoder


def gated(x, kernel, bias):
    values, gates = np.split(x @ kernel + bias, 2, axis=1)
    return values * scipy.special.expit(gates)


def moved(network, *shape):
    """The network's weights, none of them 0, and what they make of an input."""
    random = np.random.RandomState(0)
    network.build((None, *shape))
    for weight in network.weights:
        weight.assign(random.randn(*weight.shape))
    x = random.rand(3, *shape).astype(np.float32)
    return [w.numpy() for w in network.weights], x, network(x)


def test_encoder_against_numpy():
    encoder = GatedEncoder((2, 3, 1), hidden_sizes=(5, 4))
    (k1, b1, k2, b2), x, features = moved(encoder, 2, 3, 1)
    expected = gated(gated(x.reshape(3, 6), k1, b1), k2, b2)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    assert features.shape == encoder.compute_output_shape((3, 2, 3, 1))


def test_decoder_against_numpy():
    decoder = GatedDecoder((2, 3, 1), hidden_sizes=(5,))
    (k1, b1, k2, b2), z, outputs = moved(decoder, 4)
    expected = (gated(z, k1, b1) @ k2 + b2).reshape(3, 2, 3, 1)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    assert outputs.shape == decoder.compute_output_shape((3, 4))


def test_number_of_parameters():
    """Two layers of 300 units with as many gates, as Tomczak & Welling have them."""
    encoder, decoder = GatedEncoder((28, 28, 1)), GatedDecoder((28, 28, 1))
    encoder.build()
    decoder.build((None, 40))
    hidden = 2 * (300 * 300 + 300)
    assert count(encoder) == 2 * (784 * 300 + 300) + hidden
    assert count(decoder) == 2 * (40 * 300 + 300) + hidden + 300 * 784 + 784


def test_bad_arguments():
    with pytest.raises(
        UserError, match="GatedEncoder expects hidden_sizes as the units"
    ):
        GatedEncoder((28, 28, 1), hidden_sizes=300)
    with pytest.raises(UserError, match="GatedDecoder expects codes that are vectors"):
        GatedDecoder((8, 8, 1))(tf.zeros([1, 2, 2, 3]))
