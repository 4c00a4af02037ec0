import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.training import Adam


def trajectory(kind, dtype="float32", compiled=False, **options):
    variables = [keras.Variable(np.linspace(-1, 1, 12).reshape(3, 4), dtype=dtype)]
    optimizer = kind(learning_rate=0.1, beta_1=0.5, **options)
    optimizer.build(variables)

    def step(i):
        gradient = tf.sin(variables[0].value + tf.cast(i, dtype))
        optimizer.apply_gradients([(gradient, variables[0])])

    if compiled:
        step = tf.function(step)
    for i in range(20):
        step(tf.constant(i))
    return [variables[0], *optimizer.variables]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"amsgrad": True}, {"weight_decay": 0.1}, {"epsilon": 1e-2}]
)
def test_is_keras_adam(options, compiled):
    ours, theirs = (
        trajectory(kind, compiled=compiled, **options)
        for kind in (Adam, keras.optimizers.Adam)
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6, err_msg=a.path)


def test_schedules_are_used():
    def rate():
        return keras.optimizers.schedules.CosineDecay(0.1, 10)

    ends = []
    for kind in (Adam, keras.optimizers.Adam):
        variable = keras.Variable([1.0])
        optimizer = kind(rate())
        for _ in range(10):
            optimizer.apply_gradients([(2.0 * variable.value, variable)])
        ends.append(variable.numpy())
    np.testing.assert_allclose(*ends, rtol=1e-4)
    assert ends[0] < 0.9
