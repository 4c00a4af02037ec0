import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.networks import MADE


def built(**kwargs):
    network = MADE(**kwargs)
    network.build()
    for variable in network.trainable_variables:
        variable.assign(tf.random.stateless_normal(variable.shape, [1, 2]))
    return network


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("hidden_sizes", [(), (7,), (16, 12), (128, 96)])
def test_output_i_depends_on_the_inputs_before_i_alone(size, hidden_sizes):
    network = built(size=size, parameters=2, hidden_sizes=hidden_sizes)
    x = tf.random.stateless_normal([20, size], [3, 4])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        outputs = network(x)
    for output in outputs:
        assert output.shape == (20, size)
        jacobian = np.abs(tape.batch_jacobian(output, x)).max(0)
        np.testing.assert_array_equal(np.triu(jacobian), 0.0)
        # Nothing that may be seen is hidden.
        below = np.tril_indices(size, -1)
        assert (jacobian[below] > 0).all()


def test_every_output_sees_the_context():
    network = built(size=3, parameters=1, hidden_sizes=(16, 16), context_size=2)
    context = tf.random.stateless_normal([20, 2], [5, 6])
    with tf.GradientTape() as tape:
        tape.watch(context)
        (output,) = network(tf.zeros([20, 3]), context)
    jacobian = np.abs(tape.batch_jacobian(output, context)).max(0)
    assert (jacobian > 0).all()


def test_zero_output():
    network = MADE(3, 2, (8,))
    network.build()
    for output in network(tf.random.stateless_normal([4, 3], [1, 2])):
        np.testing.assert_array_equal(output, 0.0)


def test_config_round_trip():
    network = MADE(3, 2, (8,), context_size=1)
    assert MADE.from_config(network.get_config()).get_config() == network.get_config()
