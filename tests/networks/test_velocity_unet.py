import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors.networks import VelocityUNet

SHAPE = (4, 4, 1)


@pytest.fixture
def network():
    network = VelocityUNet(SHAPE, widths=(3, 5))
    network.build((None, 16 + 2))
    randomize(network, scale=0.3)
    return network


def of(network, y, t=0.3, context=None):
    conditions = network.conditions(tf.constant([[t]]), context)
    return network(tf.constant(y), conditions)


def codes(n=5):
    return np.random.RandomState(0).randn(n, 16).astype("f4")


def contexts(n=5):
    return tf.constant(np.random.RandomState(1).randn(n, 2), tf.float32)


def test_a_new_velocity_is_zero():
    network = VelocityUNet(SHAPE, widths=(3,))
    network.build((None, 16))
    np.testing.assert_array_equal(of(network, codes()), np.zeros([5, 16]))


def test_time_and_context_move_it(network):
    one = of(network, codes(), 0.3, contexts())
    assert np.abs(one - of(network, codes(), 0.4, contexts())).max() > 1e-2
    assert np.abs(one - of(network, codes(), 0.3, 1 + contexts())).max() > 1e-2


def test_each_code_by_itself(network):
    all_at_once = of(network, codes(), 0.3, contexts())
    alone = of(network, codes()[2:3], 0.3, contexts()[2:3])
    np.testing.assert_allclose(all_at_once[2:3], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("exact", [True, False])
def test_divergence_against_the_jacobian(network, exact):
    """The estimate's own expectation is e' J e for its signs e."""
    network.exact = exact
    y, context = tf.constant(codes()), contexts()
    with tf.GradientTape() as tape:
        tape.watch(y)
        v = of(network, y, 0.3, context)
    jacobian = tape.batch_jacobian(v, y).numpy()
    constants = network.constants(5)
    conditions = network.conditions(tf.constant([[0.3]]), context)
    received, divergence = network.with_divergence(y, conditions, constants)
    np.testing.assert_allclose(received, v, rtol=1e-4, atol=1e-5)
    if exact:
        expected = np.trace(jacobian, axis1=1, axis2=2)
    else:
        signs = constants[0].numpy()
        assert set(np.unique(signs)) == {-1.0, 1.0}
        expected = np.einsum("ni,nij,nj->n", signs, jacobian, signs)
    np.testing.assert_allclose(divergence, expected, rtol=1e-3, atol=1e-4)


def test_dropout_reaches_every_block(network):
    seen = []

    def drop(units, number):
        seen.append(number)
        return units

    y, conditions = codes(), network.conditions(tf.constant([[0.3]]), contexts())
    received = network(y, conditions, dropout=drop)
    assert seen == list(range(5))
    np.testing.assert_array_equal(received, network(y, conditions))


def test_config_round_trip(network):
    copy = VelocityUNet.from_config(network.get_config())
    assert copy.get_config() == network.get_config()
