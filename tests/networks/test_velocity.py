import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors.errors import UserError
from tfp_priors.networks import VelocityMLP


def built(size=5, units=8, context_size=0):
    network = VelocityMLP(size, units)
    network.build((None, size + context_size))
    return network


@pytest.mark.parametrize("size, units", [(1, 4), (5, 8), (9, 4)])
@pytest.mark.parametrize("context_size", [0, 2])
def test_the_divergence_is_the_trace_of_the_jacobian(size, units, context_size):
    network = built(size, units, context_size)
    randomize(network, scale=0.5)
    y = tf.random.stateless_normal([7, size], [1, 2])
    t = tf.random.stateless_uniform([7, 1], [3, 4])
    context = tf.random.stateless_normal([7, 2], [5, 6]) if context_size else None
    conditions = network.conditions(t, context)
    with tf.GradientTape() as tape:
        tape.watch(y)
        expected = network(y, conditions)
    trace = tf.linalg.trace(tape.batch_jacobian(expected, y))
    kernel = network.constants(7)
    velocity, divergence = network.with_divergence(y, conditions, kernel)
    np.testing.assert_allclose(velocity, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(divergence, trace, rtol=1e-4, atol=1e-4)
    assert np.abs(trace).max() > 0.1


def test_a_new_network_does_not_move():
    network = built()
    y = tf.random.stateless_normal([7, 5], [1, 2])
    conditions = network.conditions(tf.fill([1, 1], 0.3))
    np.testing.assert_array_equal(network(y, conditions), tf.zeros_like(y))


def test_time_and_context_move_the_velocity():
    network = built(context_size=2)
    randomize(network, scale=0.5)
    y = tf.random.stateless_normal([7, 5], [1, 2])

    def at(t, context):
        return network(y, network.conditions(tf.fill([1, 1], t), context)).numpy()

    one, other = tf.zeros([7, 2]), tf.ones([7, 2])
    assert np.abs(at(0.2, one) - at(0.3, one)).max() > 1e-2
    assert np.abs(at(0.2, one) - at(0.2, other)).max() > 1e-2


def test_dropout_reaches_both_layers():
    network = built()
    randomize(network, scale=0.5)
    y = tf.random.stateless_normal([7, 5], [1, 2])
    conditions = network.conditions(tf.fill([1, 1], 0.3))
    seen = []

    def drop(units, number):
        seen.append((number, units.shape))
        return 0.0 * units if number else units

    velocity = network(y, conditions, dropout=drop)
    assert seen == [(0, (7, 8)), (1, (7, 8))]
    np.testing.assert_array_equal(velocity, tf.zeros_like(y))


def test_units_that_are_none():
    with pytest.raises(UserError, match="VelocityMLP"):
        VelocityMLP(5, 0)


def test_config_round_trip():
    network = VelocityMLP(5, 8)
    config = network.get_config()
    assert VelocityMLP.from_config(config).get_config() == config
