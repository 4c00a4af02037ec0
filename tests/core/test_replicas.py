"""N replicas draw what one would, and sum up to what one has."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core import replicas
from tfp_priors.errors import UserError
from tfp_priors.training import create_strategy

tfd = tfp.distributions


def on_two_replicas(function, n):
    """What each replica makes of its n rows, together."""
    strategy = create_strategy("mirrored")

    @tf.function(autograph=False)
    def run():
        return strategy.gather(strategy.run(lambda: function(n)), axis=0)

    return run().numpy()


def test_rows_are_those_of_the_whole_batch():
    def draw(n):
        return tf.random.stateless_normal([n, 3], [1, 2])

    received = on_two_replicas(lambda n: replicas.rows(draw, n), 4)
    np.testing.assert_array_equal(received, draw(8))
    assert replicas.rows(draw, 4).shape == (4, 3)
    means = on_two_replicas(
        lambda n: replicas.mean(replicas.rows(draw, n))[None], 4
    ).reshape(2, 4, 3)
    np.testing.assert_allclose(means[0], means[1])
    np.testing.assert_allclose(means[0], draw(8).numpy().reshape(2, 4, 3).mean(0))


def test_noise_is_that_of_the_whole_batch():
    received = on_two_replicas(lambda n: replicas.noise(n, 3, [1, 2]), 4)
    np.testing.assert_array_equal(received, replicas.noise(8, 3, [1, 2]))
    np.testing.assert_allclose(
        replicas.noise(40_000, 2, [1, 2]).numpy().std(0), 1.0, 0.02
    )


def test_gathered_rows_have_the_gradient_of_one_device():
    x = tf.random.stateless_normal([8, 3], [1, 2])

    def loss(z):
        return tf.reduce_sum(tf.square(tf.matmul(z, z, transpose_b=True)))

    def gradient(n):
        own = replicas.rows(lambda _: x, n)
        with tf.GradientTape() as tape:
            tape.watch(own)
            share = loss(replicas.gather(own)) / replicas.count()
        return tape.gradient(share, own)

    np.testing.assert_allclose(on_two_replicas(gradient, 4), gradient(8), rtol=1e-5)


@pytest.mark.parametrize("size", [1, 7, 8])
def test_spread_is_the_function_itself(size):
    strategy = create_strategy("mirrored")
    with strategy.scope():
        layer = keras.layers.Dense(3)
        layer.build((None, 5))

    def function(x):
        return {"out": layer(x), "in": x}

    x = tf.random.stateless_normal([size, 5], [1, 2])
    received = tf.function(replicas.spread(function, strategy))(x)
    # A matrix product of other shape may add in another order.
    np.testing.assert_allclose(received["out"], layer(x), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(received["in"], x)
    for one in (create_strategy("one_device"), None):
        assert replicas.spread(function, one) is function


@pytest.mark.parametrize(
    "make",
    [
        lambda x: tfd.VectorDeterministic(x),
        lambda x: tfd.MultivariateNormalDiag(x, tf.exp(x)),
        lambda x: tfd.TransformedDistribution(
            tfd.MultivariateNormalDiag(x, tf.exp(x)), tfp.bijectors.Softplus()
        ),
    ],
)
def test_draws_of_a_batch_of_distributions(make):
    x = tf.random.stateless_normal([8, 3], [1, 2])

    def draw(n):
        return replicas.sample(make(replicas.rows(lambda _: x, n)), tf.constant([3, 4]))

    received = on_two_replicas(draw, 4)
    np.testing.assert_allclose(received, make(x).sample(seed=[3, 4]), rtol=1e-6)


def test_draws_of_an_unknown_distribution_are_refused():
    def draw(n):
        return replicas.sample(tfd.Gamma(tf.ones([n]), 1.0), tf.constant([3, 4]))

    assert draw(4).shape == (4,)
    with pytest.raises(UserError, match="Draws of a Gamma depend on the number"):
        on_two_replicas(draw, 4)


def test_a_table_of_noise_may_be_cut_into_parts():
    seed = tf.constant([1, 2])
    whole = replicas.normal_rows(0, 6, 7, seed)
    np.testing.assert_array_equal(replicas.normal_rows(3, 3, 7, seed), whole[3:])
