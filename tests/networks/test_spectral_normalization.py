import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.networks import MLP
from tfp_priors.networks import InfoGANDecoder
from tfp_priors.networks import SpectralNormalization


def test_divides_by_the_largest_singular_value():
    layer = SpectralNormalization(keras.layers.Dense(4, use_bias=False))
    layer.build((None, 6))
    kernel = np.random.RandomState(0).randn(6, 4)
    layer.layer.kernel.assign(kernel)
    eye = tf.eye(6)
    for _ in range(100):
        layer(eye, training=True)
    expected = kernel / np.linalg.svd(kernel)[1][0]
    np.testing.assert_allclose(layer(eye), expected, rtol=1e-4, atol=1e-5)
    # The kernel itself is not touched.
    np.testing.assert_allclose(layer.layer.kernel, kernel, rtol=1e-6)


def test_gradient_passes_through_the_division():
    layer = SpectralNormalization(keras.layers.Dense(3, use_bias=False))
    layer.build((None, 3))
    kernel = np.diag([3.0, 1.0, 0.5])
    layer.layer.kernel.assign(kernel)
    for _ in range(100):
        layer(tf.eye(3), training=True)
    with tf.GradientTape() as tape:
        outputs = layer(tf.eye(3))
        loss = outputs[0, 0] + outputs[1, 1]
    # W / sigma with sigma = W_00: W_00 / sigma is constant, W_11 / sigma is not.
    expected = np.zeros((3, 3))
    expected[1, 1], expected[0, 0] = 1 / 3, -1 / 9
    received = tape.gradient(loss, layer.layer.kernel.value)
    np.testing.assert_allclose(received, expected, atol=1e-5)


@pytest.mark.parametrize("make", [MLP, InfoGANDecoder], ids=["mlp", "decoder"])
def test_networks_have_kernels_of_norm_one(make):
    if make is MLP:
        network = MLP((16, 16), 1, spectral_normalization=True)
    else:
        network = InfoGANDecoder((8, 8, 1), width=4, spectral_normalization=True)
    network.build((None, 5))
    z = tf.random.stateless_normal([16, 5], [1, 2])
    for _ in range(60):
        network(z, training=True)
    layers = [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, SpectralNormalization)
    ]
    assert len(layers) == (3 if make is MLP else 4)
    for layer in layers:
        matrix = np.reshape(layer.layer.kernel, (-1, layer.layer.kernel.shape[-1]))
        vector = layer._direction.numpy()
        np.testing.assert_allclose(
            np.linalg.norm(matrix @ vector), np.linalg.svd(matrix)[1][0], rtol=1e-2
        )


def test_no_update_outside_training():
    layer = SpectralNormalization(keras.layers.Dense(3))
    layer.build((None, 3))
    before = layer._direction.numpy()
    layer(tf.eye(3))
    np.testing.assert_array_equal(before, layer._direction)
