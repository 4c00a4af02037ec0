import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.evaluation import likelihood
from tfp_priors.evaluation.likelihood import active_units
from tfp_priors.evaluation.likelihood import bits_per_dimension
from tfp_priors.evaluation.likelihood import importance_weighted_bound
from tfp_priors.evaluation.likelihood import rate_and_distortion
from tfp_priors.posteriors import NormalPosterior
from tfp_priors.priors import StandardNormalPrior

_NOISE = 0.5
# The exact posterior of z ~ N(0, 1), x = z + noise; the model's is too wide.
_SLOPE = 1 / (1 + _NOISE**2)
_WIDTH = 1.3 * _NOISE * np.sqrt(_SLOPE)


def log_normal(x, mean, scale):
    return -0.5 * ((x - mean) / scale) ** 2 - np.log(scale * np.sqrt(2 * np.pi))


def log_terms(x, seed, draws, width=_WIDTH):
    noise = tf.random.stateless_normal([draws, tf.shape(x)[0]], seed)
    z = _SLOPE * x + width * noise
    posterior = log_normal(z, _SLOPE * x, width)
    return log_normal(x, z, _NOISE), log_normal(z, 0.0, 1.0), posterior


def exact(x):
    return scipy.stats.norm(0, np.sqrt(1 + _NOISE**2)).logpdf(x)


def test_exact_posterior_gives_the_likelihood_at_once():
    x = np.linspace(-2, 2, 9).astype(np.float32)

    def terms(*given):
        return log_terms(*given, width=_NOISE * np.sqrt(_SLOPE))

    np.testing.assert_allclose(
        importance_weighted_bound(terms, x, draws=1), exact(x), atol=1e-5
    )


def test_bound_tightens_with_the_draws():
    x = np.random.RandomState(0).randn(2000).astype(np.float32)
    gaps = [
        np.mean(exact(x) - importance_weighted_bound(log_terms, x, draws))
        for draws in (1, 5, 50, 500)
    ]
    assert gaps == sorted(gaps, reverse=True)
    # One draw: KL[q || posterior] of two normals of one mean.
    kl = np.log(1 / 1.3) + (1.3**2 - 1) / 2
    np.testing.assert_allclose(gaps[0], kl, atol=0.03)
    assert abs(gaps[-1]) < 2e-3


def test_one_weight_of_a_model_is_its_evidence_lower_bound(make_model):
    model = make_model(
        posterior=NormalPosterior(4), prior=StandardNormalPrior(4), beta=1.0
    )
    images = tf.random.stateless_uniform([6, 8, 8, 1], [3, 4])
    terms = [model.log_terms(images, tf.constant([0, k])) for k in range(40)]
    assert terms[0][0].shape == (1, 6)
    weights = [(p_x + p_z - q_z).numpy() for p_x, p_z, q_z in terms]
    objective = [
        model.objective(images, 1.0, tf.constant([0, k])).loss for k in range(40)
    ]
    # The bound by two ways: KL at draws, and in closed form.
    difference = np.mean(weights) + np.mean(objective)
    error = np.std(np.mean(weights, axis=(1, 2))) / np.sqrt(40)
    assert abs(difference) < 4 * error + 4 * np.std(objective) / np.sqrt(40)


class LinearGaussian:
    """x = W z + b + noise with z ~ N(0, I) in 2 and x in 5 dimensions.

    q(z|x) is the posterior with its standard deviations times `width`.
    """

    def __init__(self, width=1.0):
        random = np.random.RandomState(0)
        self.weights, self.bias = random.randn(5, 2), random.randn(5)
        self.covariance = np.linalg.inv(
            np.eye(2) + self.weights.T @ self.weights / _NOISE**2
        )
        self.width = width

    def images(self, n):
        random = np.random.RandomState(1)
        noise = _NOISE * random.randn(n, 5)
        return random.randn(n, 2) @ self.weights.T + self.bias + noise

    def evidence(self, x):
        covariance = self.weights @ self.weights.T + _NOISE**2 * np.eye(5)
        return scipy.stats.multivariate_normal(self.bias, covariance).logpdf(x)

    def posterior_means(self, x):
        return (x - self.bias) @ self.weights @ self.covariance / _NOISE**2

    def log_terms(self, x, seed, draws):
        root = self.width * np.linalg.cholesky(self.covariance)
        shape = [draws, tf.shape(x)[0], 2]
        noise = tf.random.stateless_normal(shape, seed, dtype=x.dtype)
        z = self.posterior_means(x) + noise @ root.T
        log_posterior = tf.reduce_sum(log_normal(noise, 0.0, 1.0), -1)
        return (
            tf.reduce_sum(log_normal(x, z @ self.weights.T + self.bias, _NOISE), -1),
            tf.reduce_sum(log_normal(z, 0.0, 1.0), -1),
            log_posterior - np.linalg.slogdet(root)[1],
        )

    def rate(self, x):
        """KL[q || N(0, I)] of two normals."""
        covariance = self.width**2 * self.covariance
        squares = np.sum(self.posterior_means(x) ** 2, axis=1)
        log_det = np.linalg.slogdet(covariance)[1]
        return 0.5 * (np.trace(covariance) + squares - 2 - log_det)

    def distortion(self, x):
        covariance = self.width**2 * self.weights @ self.covariance @ self.weights.T
        misses = x - self.bias - self.posterior_means(x) @ self.weights.T
        squares = np.sum(misses**2, axis=1) + np.trace(covariance)
        return 0.5 * squares / _NOISE**2 + 2.5 * np.log(2 * np.pi * _NOISE**2)


def test_bound_of_a_linear_model():
    model = LinearGaussian()
    x = model.images(200)  # two batches
    for draws in (1, 3):
        bound = importance_weighted_bound(model.log_terms, x, draws)
        assert bound.dtype == np.float64
        np.testing.assert_allclose(bound, model.evidence(x), rtol=1e-10)
    wide = LinearGaussian(width=1.5)
    gaps = [
        np.mean(wide.evidence(x) - importance_weighted_bound(wide.log_terms, x, draws))
        for draws in (1, 16, 256)
    ]
    assert gaps == sorted(gaps, reverse=True)
    # One draw: KL[q || posterior] = d (width^2 - 1 - 2 log width) / 2. The log-weights
    # have a standard deviation of sqrt(d / 2) (width^2 - 1).
    error = (1.5**2 - 1) / np.sqrt(200)
    assert abs(gaps[0] - (1.5**2 - 1 - 2 * np.log(1.5))) < 4 * error
    assert abs(gaps[-1]) < 0.02


def test_draws_of_a_model_are_those_of_its_images(make_model):
    model = make_model(posterior=NormalPosterior(4), prior=StandardNormalPrior(4))
    images = tf.random.stateless_uniform([3, 8, 8, 1], [3, 4])
    terms = model.log_terms(images, tf.constant([0, 1]), 2000)
    q = model.posterior_distribution(images)
    # E log q is minus the entropy of q; that of log p(z) of N(0, I) is known too.
    error = 5 * np.sqrt(2) / np.sqrt(2000)
    np.testing.assert_allclose(np.mean(terms[2], axis=0), -q.entropy(), atol=error)
    squares = np.square(q.mean()) + q.variance()
    expected = -0.5 * np.sum(squares + np.log(2 * np.pi), axis=1)
    np.testing.assert_allclose(np.mean(terms[1], axis=0), expected, atol=3 * error)


def test_batches_have_noise_of_their_own():
    model = LinearGaussian(width=1.5)
    x = np.repeat(model.images(1), 6, axis=0)
    bound = importance_weighted_bound(model.log_terms, x, draws=2, batch_size=2)
    assert len(np.unique(bound)) == 6


@pytest.mark.parametrize(("width", "at_once"), [(1.0, 2000), (1.5, 2000), (1.5, 40)])
def test_rate_and_distortion_in_closed_form(monkeypatch, width, at_once):
    # Of a batch of 100 images with 5 values.
    monkeypatch.setattr(likelihood, "_VALUES_AT_ONCE", 500 * at_once)
    model = LinearGaussian(width)
    x = model.images(120)  # two batches
    received = rate_and_distortion(model.log_terms, x, draws=2000)
    assert received.rate.dtype == received.distortion.dtype == np.float64
    # At one draw the standard deviations of both are below 3; 4.5 standard errors of
    # 2,000 draws hold for all of the 240 values.
    np.testing.assert_allclose(received.rate, model.rate(x), atol=0.3)
    np.testing.assert_allclose(received.distortion, model.distortion(x), atol=0.3)


def test_rate_and_distortion_add_up_to_the_bound():
    model = LinearGaussian(width=1.5)
    x = model.images(150)
    rate, distortion = rate_and_distortion(model.log_terms, x, draws=1, seed=3)
    bound = importance_weighted_bound(model.log_terms, x, draws=1, seed=3)
    np.testing.assert_allclose(-(rate + distortion), bound, rtol=1e-10)
    # At the exact posterior there is nothing but the evidence, whatever the draws.
    model = LinearGaussian()
    rate, distortion = rate_and_distortion(model.log_terms, x, draws=3)
    np.testing.assert_allclose(-(rate + distortion), model.evidence(x), rtol=1e-10)


@pytest.mark.parametrize("at_once", [1, 4, 6])
def test_every_draw_counts_once(monkeypatch, at_once):
    """However few of 6 draws for 2 images are made at once."""
    monkeypatch.setattr(likelihood, "_VALUES_AT_ONCE", 2 * at_once)

    def terms(images, seed, draws):
        ones = tf.ones([draws, tf.shape(images)[0]])
        return -3.0 * ones, -2.0 * ones, -1.0 * ones

    x = np.zeros([2], np.float32)
    np.testing.assert_allclose(importance_weighted_bound(terms, x, draws=6), -4.0)
    rate, distortion = rate_and_distortion(terms, x, draws=6)
    np.testing.assert_allclose([rate, distortion], [[1.0] * 2, [3.0] * 2])


def test_at_least_one_draw():
    with pytest.raises(UserError, match="draws must be at least 1, received 0"):
        importance_weighted_bound(log_terms, np.zeros([3], np.float32), draws=0)


def test_active_units():
    random = np.random.RandomState(0)
    means = random.randn(5000, 4) * [1.0, 0.2, 0.05, 0.0] + 3.0
    # Variances 1, 0.04, 0.0025 and 0.
    assert active_units(means) == 2
    assert active_units(means.astype(np.float32), threshold=1e-3) == 3
    with pytest.raises(UserError, match="posterior_means must be finite"):
        active_units(np.full((3, 2), np.nan))


@pytest.mark.parametrize(("levels", "expected"), [(1, 2.0), (256, 10.0)])
def test_bits(levels, expected):
    nats = -2.0 * 12 * np.log(2)
    np.testing.assert_allclose(bits_per_dimension(nats, 12, levels), expected)
