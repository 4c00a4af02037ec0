import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.conftest import randomize
from tfp_priors.divergences import GaussianKernel
from tfp_priors.divergences import InverseMultiquadricKernel
from tfp_priors.divergences import MMDDivergence
from tfp_priors.divergences.mmd import squared_mmd
from tfp_priors.errors import UserError
from tfp_priors.errors import raised_in_graph
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.priors import GaussianMixturePrior
from tfp_priors.priors import GeneratorPrior
from tfp_priors.priors import StandardNormalPrior

SEED = tf.constant([1, 2])
# Each kernel and its formula for one pair of points in 3 dimensions.
KERNELS = {
    "gaussian": (
        GaussianKernel((0.5, 2.0)),
        lambda d2: np.exp(-d2 / (2 * 0.25)) + np.exp(-d2 / (2 * 4.0)),
    ),
    "multiquadric": (
        InverseMultiquadricKernel((0.1, 3.0)),
        lambda d2: 0.6 / (0.6 + d2) + 18.0 / (18.0 + d2),
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_against_a_double_loop(name):
    kernel, formula = KERNELS[name]
    random = np.random.RandomState(0)
    x, y = random.randn(6, 3), random.randn(5, 3) + 1.0

    def mean(pairs):
        values = [formula(np.sum((a - b) ** 2)) for a, b in pairs]
        return sum(values) / len(values)

    expected = (
        mean(itertools.permutations(x, 2))
        + mean(itertools.permutations(y, 2))
        - 2 * mean(itertools.product(x, y))
    )
    received = squared_mmd(
        tf.constant(x, tf.float32), tf.constant(y, tf.float32), kernel
    )
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_unbiased():
    # Two samples of one distribution: the mean over 200 pairs of samples is 0 within
    # 4 standard errors, and some estimates are negative.
    random = np.random.RandomState(0)
    kernel = GaussianKernel((1.0,))
    values = [
        float(squared_mmd(*tf.constant(random.randn(2, 8, 2), tf.float32), kernel))
        for _ in range(200)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)
    assert min(values) < 0


def test_known_value_for_normals():
    # E k(x, y) for x - y ~ N(m, 2 I) in 1 dimension and bandwidth s:
    # s / sqrt(s^2 + 2) exp(-m^2 / (2 (s^2 + 2))).
    n, shift, s = 2000, 1.5, 1.0
    x = tf.random.stateless_normal([n, 1], [1, 1])
    y = tf.random.stateless_normal([n, 1], [2, 2]) + shift
    expected = 2 * s / np.sqrt(3) * (1 - np.exp(-(shift**2) / 6))
    # The standard error at this n is about 0.01.
    received = squared_mmd(x, y, GaussianKernel((s,)))
    np.testing.assert_allclose(received, expected, atol=0.04)


@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_beta_weighs_the_codes_share_alone(beta):
    prior = GeneratorPrior(3, hidden_sizes=(8,), standardize=True)
    prior.build()
    randomize(prior)
    z = tf.Variable(tf.random.stateless_normal([16, 3], [3, 4]))
    posterior = tfp.distributions.VectorDeterministic(z)

    def gradients(weight):
        with tf.GradientTape() as tape:
            loss = MMDDivergence().terms(posterior, z, prior, weight, SEED).loss
        own = [v.value for v in prior.trainable_variables]
        return tape.gradient(loss, [z, own], unconnected_gradients="zero")

    (code, own), (full_code, full_own) = gradients(beta), gradients(1.0)
    np.testing.assert_allclose(code, beta * full_code, rtol=1e-5, atol=1e-8)
    for a, b in zip(own, full_own, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8)
        assert np.abs(a).max() > 0


def test_bad_input():
    with pytest.raises(UserError, match="expects positive numbers"):
        GaussianKernel((1.0, 0.0))
    with pytest.raises(UserError, match="expects positive numbers"):
        InverseMultiquadricKernel(())
    with pytest.raises(UserError, match="have no gradient: use KLDivergence"):
        prior = GaussianMixturePrior(3)
        prior.build()
        MMDDivergence().check(DeterministicPosterior(3), prior, 0.0)
    with pytest.raises(UserError, match="at least 2 codes, received 1"):
        squared_mmd(tf.zeros([1, 3]), tf.zeros([1, 3]), GaussianKernel())
    MMDDivergence().check(DeterministicPosterior(3), StandardNormalPrior(3), 1.0)


def test_a_last_batch_of_one_image_is_refused():
    """Whose size is known in the step alone."""

    @tf.function(input_signature=[tf.TensorSpec((None, 2))] * 2)
    def mmd(x, y):
        return squared_mmd(x, y, GaussianKernel())

    x = tf.random.stateless_normal([3, 2], [0, 0])
    expected = squared_mmd(x, -x, GaussianKernel())
    np.testing.assert_allclose(mmd(x, -x), expected, rtol=1e-5)
    for pair in ((x[:1], x), (x, x[:1])):
        with pytest.raises(UserError, match="no batch of a single image"):
            with raised_in_graph():
                mmd(*pair)
