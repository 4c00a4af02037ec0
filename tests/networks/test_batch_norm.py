import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.networks.batch_norm import BatchNorm


def pair(shape):
    """Our layer and Keras' with the same weights, and inputs."""
    ours = BatchNorm()
    keras_layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    random = np.random.RandomState(0)
    x = tf.constant(2.0 + 3.0 * random.randn(*shape), tf.float32)
    for layer in (ours, keras_layer):
        layer.build(shape)
    for a, b in zip(ours.weights, keras_layer.weights, strict=True):
        value = 0.5 + random.rand(*a.shape)
        a.assign(value)
        b.assign(value)
    return ours, keras_layer, x


@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 2, 5), (1, 2, 2, 3)])
def test_values_statistics_and_gradients_are_keras(shape):
    *layers, x = pair(shape)
    results = []
    for layer in layers:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.sin(y) * tf.cos(x))
        gradients = tape.gradient(loss, [x, *layer.trainable_variables])
        results.append([y, *gradients, *layer.non_trainable_variables])
    for ours, expected in zip(*results, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layers[0](x), layers[1](x), rtol=1e-5, atol=1e-5)


def test_second_derivatives_are_keras():
    *layers, x = pair((6, 5))
    results = []
    for layer in layers:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(tf.sin(layer(x, training=True)))
            norm = tf.reduce_sum(tf.square(inner.gradient(y, x)))
        results.append(outer.gradient(norm, [x, layer.gamma.value]))
    for ours, expected in zip(*results, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_statistics_stay_float32(dtype):
    ours, _, x = pair((64, 5))
    exact, _, _ = pair((64, 5))
    ours.dtype_policy = f"mixed_{dtype}"
    assert ours(x, training=True).dtype == dtype
    exact(x, training=True)
    for a, b in zip(ours.weights, exact.weights, strict=True):
        # The inputs have 8 bits or more; their means over 64 rows have more.
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3)
