import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.networks import MADE
from tfp_priors.networks import MLP


@pytest.mark.parametrize("spectral", [False, True])
def test_against_numpy(spectral):
    keras.utils.set_random_seed(0)
    network = MLP((5, 4), 2, spectral_normalization=spectral)
    network.build((None, 3))
    x = np.random.RandomState(0).normal(size=(7, 3)).astype(np.float32)
    step = tf.function(lambda: network(x, training=True))
    # Power iterations come to the largest singular value.
    for _ in range(100):
        outputs = step()
    expected = x.astype(np.float64)
    layers = [getattr(layer, "layer", layer) for layer in network._layers_in_order]
    for i, layer in enumerate(layers):
        kernel = np.float64(layer.kernel)
        kernel /= np.linalg.svd(kernel)[1][0] if spectral else 1.0
        expected = expected @ kernel + np.float64(layer.bias)
        expected = np.maximum(expected, 0) if i < 2 else expected
    np.testing.assert_allclose(outputs, expected, atol=1e-4)
    assert network.compute_output_shape((None, 3)) == (None, 2)


def test_a_new_network_has_its_kinks_apart():
    """Of a unit of one input x, max(0, w x + b), the kink is at -b / w."""
    keras.utils.set_random_seed(0)
    plain, masked = MLP((256,), 1), MADE(2, 1, (256,))
    plain.build((None, 1))
    masked.build()
    for network in (plain, masked):
        kernel, bias = (w.numpy() for w in network.weights[:2])
        size = len(kernel)
        assert np.abs(bias).max() <= size**-0.5
        np.testing.assert_allclose(bias.var(), 1 / (3 * size), rtol=0.2)
        assert len(np.unique(-bias / kernel[0])) == 256
        np.testing.assert_array_equal(network.weights[3], 0.0)


def test_zero_output():
    network = MLP((8,), 3, zero_output=True)
    network.build((None, 2))
    np.testing.assert_array_equal(network(tf.random.normal([4, 2])), 0.0)
