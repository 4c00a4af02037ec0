import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.networks.dense import Dense


@pytest.mark.parametrize("use_bias", [True, False])
def test_values_and_gradients_are_keras(use_bias):
    options = {"units": 3, "use_bias": use_bias, "activation": "tanh"}
    ours, theirs = Dense(**options), keras.layers.Dense(**options)
    x = tf.constant(np.random.RandomState(0).randn(5, 4), tf.float32)
    results = []
    for layer in (ours, theirs):
        layer.build((None, 4))
        for a, b in zip(layer.weights, ours.weights, strict=True):
            a.assign(b)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
            variables = [x, *layer.trainable_variables]
            gradients = tape.gradient(y, variables)
            norm = tf.reduce_sum(tf.square(gradients[0]))
        results.append([y, *gradients, *outer.gradient(norm, [x, layer.kernel.value])])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_computes_in_its_policys_dtype():
    layer = Dense(3, dtype="mixed_bfloat16")
    y = layer(tf.ones([2, 4]))
    assert y.dtype == tf.bfloat16
    assert layer.kernel.dtype == "float32"
