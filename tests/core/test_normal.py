"""Normal distributions, against SciPy."""

import contextlib

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tfp_priors.core import normal

# On both sides, and as far as float32 has a tail.
X = np.concatenate([np.linspace(-12.5, 8.0, 20_001), [0.0]]).astype(np.float32)


@pytest.mark.parametrize("elementary", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_densities_of_all_components(elementary, scale):
    random = np.random.RandomState(0)
    means = random.randn(6, 3).astype(np.float32)
    scales = (scale * np.exp(random.randn(6, 3))).astype(np.float32)
    # Rows that are near a component: their large squares must cancel.
    which = np.arange(12) % 6
    x = (means[which] + scales[which] * random.randn(12, 3)).astype(np.float32)
    expected = scipy.stats.norm(means, scales).logpdf(x[:, None].astype(float)).sum(-1)
    with normal.elementary() if elementary else contextlib.nullcontext():
        found = normal.log_probs(tf.constant(x), means, scales)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-5)


def test_densities_of_components_make_no_array_of_all_differences():
    @tf.function
    def total(x, means, scales):
        return tf.reduce_sum(normal.log_probs(x, means, scales))

    graph = total.get_concrete_function(*[tf.TensorSpec([7, 5])] * 3).graph
    outputs = [out for op in graph.get_operations() for out in op.outputs]
    assert max(out.shape.rank for out in outputs) == 2


def test_both_ways_agree_with_scipy():
    expected = scipy.special.ndtr(X.astype(np.float64))
    np.testing.assert_allclose(normal.cdf(X), expected, rtol=2e-5)
    with normal.elementary():
        found = normal.cdf(tf.constant(X))
    np.testing.assert_allclose(found, expected, rtol=3e-5)


@pytest.mark.parametrize("elementary", [False, True])
def test_the_quantile_is_told_by_the_smaller_tail(elementary):
    x = X.astype(np.float64)
    below = scipy.special.ndtr(x).astype(np.float32)
    above = scipy.special.ndtr(-x).astype(np.float32)
    if elementary:
        with normal.elementary():
            found = normal.quantile(tf.constant(below), tf.constant(above))
    else:
        found = normal.quantile(below, above)
    np.testing.assert_allclose(found, x, rtol=2e-6, atol=2e-6)


def test_elementary_graphs_have_elementary_operations():
    def both(x):
        tail = normal.cdf(x)
        return normal.quantile(tail, 1.0 - tail)

    def operations(function):
        graph = tf.function(function, autograph=False)
        found = graph.get_concrete_function(tf.TensorSpec([None])).graph
        return {operation.type for operation in found.get_operations()}

    def elementary(x):
        with normal.elementary():
            return both(x)

    assert {"Erfc", "Ndtri"} <= operations(both)
    assert not {"Erfc", "Ndtri"} & operations(elementary)
