import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.priors.rational_quadratic import RationalQuadratic

BOUND, BINS = 3.0, 5


def random_bins(size=200, seed=0):
    """Widths, heights and slopes, `[size, bins]`: a spline for each number."""
    random = np.random.RandomState(seed)
    widths, heights = (
        2 * BOUND * random.dirichlet(np.full(BINS, 2.0), size) for _ in range(2)
    )
    slopes = random.uniform(0.1, 5.0, (size, BINS - 1))
    return [tf.constant(values, tf.float32) for values in (widths, heights, slopes)]


def ours(bins):
    return RationalQuadratic(*(tf.unstack(values, axis=-1) for values in bins), BOUND)


def theirs(bins):
    return tfp.bijectors.RationalQuadraticSpline(*bins, range_min=-BOUND)


def values(size=200, spread=1.5):
    return tf.constant(spread * np.random.RandomState(1).randn(size), tf.float32)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("what", ["image", "slope"])
def test_values_and_gradients_are_those_of_tfp(direction, what):
    x, bins, results = values(), random_bins(), []
    for make in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch([x, bins])
            spline = make(bins)
            if what == "image":
                value = getattr(spline, direction)(x)
            else:
                name = f"{direction}_log_det_jacobian"
                value = getattr(spline, name)(x, event_ndims=0)
            weighted = tf.reduce_sum(value * tf.linspace(0.5, 1.5, 200))
        results.append([value, *tape.gradient(weighted, [x, *bins])])
    for received, expected in zip(*results, strict=True):
        np.testing.assert_allclose(received, expected, rtol=2e-3, atol=1e-4)


def test_there_and_back():
    x = values()
    y = tf.identity(ours(random_bins()).forward(x))
    np.testing.assert_allclose(ours(random_bins()).inverse(y), x, atol=1e-4)


def test_splines_that_differ_give_different_answers_for_one_tensor():
    x = values()
    first, second = ours(random_bins()), ours(random_bins(seed=1))
    assert first != second
    assert np.abs(first.forward(x) - second.forward(x)).max() > 0.1


@pytest.mark.parametrize("last_slope", [100.0, 3000.0])
def test_the_inverse_at_the_end_of_a_steep_bin(last_slope):
    # The mean slope of its first bin is 0.01.
    bins = (1.0, 1.0, 1.0), (0.01, 1.0, 1.99), (last_slope, 1.0)

    def spline(kind):
        return RationalQuadratic(
            *([tf.constant(v, kind) for v in b] for b in bins), 1.5
        )

    x = np.linspace(-0.6, -0.5, 50)
    y = tf.cast(spline(tf.float64).forward(tf.constant(x)), tf.float32)
    expected = spline(tf.float64).inverse(tf.cast(y, tf.float64))
    np.testing.assert_allclose(spline(tf.float32).inverse(y), expected, atol=1e-6)


@pytest.mark.parametrize("method", ["forward", "inverse"])
def test_gradients_are_finite_at_the_ends_and_beyond(method):
    x = tf.constant([-1e30, -9.0, -BOUND, BOUND, 9.0, 1e30])
    bins = [tf.Variable(tf.fill([6], 2 * BOUND / BINS)) for _ in range(2 * BINS)]
    slopes = [tf.Variable(tf.fill([6], 0.5 + k)) for k in range(BINS - 1)]
    with tf.GradientTape() as tape:
        tape.watch(x)
        spline = RationalQuadratic(bins[:BINS], bins[BINS:], slopes, BOUND)
        jacobian = getattr(spline, f"{method}_log_det_jacobian")(x, event_ndims=0)
        total = tf.reduce_sum(getattr(spline, method)(x)) + tf.reduce_sum(jacobian)
    for gradient in tape.gradient(total, [x, *bins, *slopes]):
        assert np.isfinite(gradient).all()
