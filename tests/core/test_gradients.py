import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core.gradients import scale_gradient
from tfp_priors.core.gradients import scaled_weights


def test_scale_gradient_keeps_the_value_exactly():
    x = tf.Variable(np.random.RandomState(0).randn(100).astype(np.float32))
    with tf.GradientTape() as tape:
        y = scale_gradient(x, tf.constant(0.3))
    np.testing.assert_array_equal(x, y)
    np.testing.assert_allclose(tape.gradient(y, x), 0.3 * np.ones(100), rtol=1e-6)


def test_beta_zero_meets_no_infinity():
    x = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        y = tf.sqrt(scale_gradient(x, 0.0)) + x
    assert tape.gradient(y, x) == 1.0


def test_scaled_weights_leave_the_value_and_the_inputs_gradient():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    x = tf.constant([[1.0, -2.0, 3.0]])

    def gradients(beta):
        with tf.GradientTape() as tape:
            tape.watch(x)
            with scaled_weights([layer], beta):
                y = layer(x)
            loss = tf.reduce_sum(tf.square(y))
        targets = [x, [v.value for v in layer.trainable_variables]]
        return y, *tape.gradient(loss, targets, unconnected_gradients="zero")

    y, inputs, weights = gradients(1.0)
    for beta in (0.0, 0.3):
        scaled_y, scaled_inputs, scaled = gradients(beta)
        np.testing.assert_array_equal(scaled_y, y)
        np.testing.assert_allclose(scaled_inputs, inputs, rtol=1e-6)
        for a, b in zip(scaled, weights, strict=True):
            np.testing.assert_allclose(a, beta * b, rtol=1e-6)
