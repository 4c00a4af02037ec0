import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.priors.rational_quadratic import RationalQuadratic

BOUND, BINS = 3.0, 5


def both(size=200):
    """Ours and TFP's spline of the same random bins, one for each of `size` numbers."""
    random = np.random.RandomState(0)
    widths, heights = (
        2 * BOUND * random.dirichlet(np.full(BINS, 2.0), size).astype("f4")
        for _ in range(2)
    )
    slopes = random.uniform(0.1, 5.0, (size, BINS - 1)).astype("f4")
    ours = RationalQuadratic(*(list(a.T) for a in (widths, heights, slopes)), BOUND)
    theirs = tfp.bijectors.RationalQuadraticSpline(
        widths, heights, slopes, range_min=-BOUND
    )
    return ours, theirs


def values(size=200, spread=1.5):
    return spread * np.random.RandomState(1).randn(size).astype("f4")


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_against_tfp(direction):
    ours, theirs = both()
    for name in (direction, f"{direction}_log_det_jacobian"):
        given = {"event_ndims": 0} if name.endswith("jacobian") else {}
        received = getattr(ours, name)(values(), **given)
        expected = getattr(theirs, name)(values(), **given)
        np.testing.assert_allclose(received, expected, atol=2e-5)


def test_there_and_back():
    ours, _ = both()
    x = values()
    # Anew, so that no bijector remembers what it was given.
    y = tf.constant(ours.forward(x).numpy())
    np.testing.assert_allclose(both()[0].inverse(y), x, atol=1e-4)


def test_a_slope_is_that_of_the_value_asked_for():
    ours, theirs = both()
    ours.forward(values())
    received = ours.forward_log_det_jacobian(-values(), event_ndims=0)
    expected = theirs.forward_log_det_jacobian(-values(), event_ndims=0)
    np.testing.assert_allclose(received, expected, atol=2e-5)


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
