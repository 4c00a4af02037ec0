import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfp_priors.evaluation.likelihood import bits_per_dimension
from tfp_priors.evaluation.likelihood import importance_weighted_bound
from tfp_priors.posteriors import NormalPosterior
from tfp_priors.priors import StandardNormalPrior

_NOISE = 0.5
# The exact posterior of z ~ N(0, 1), x = z + noise; the model's is too wide.
_SLOPE = 1 / (1 + _NOISE**2)
_WIDTH = 1.3 * _NOISE * np.sqrt(_SLOPE)


def log_normal(x, mean, scale):
    return -0.5 * ((x - mean) / scale) ** 2 - np.log(scale * np.sqrt(2 * np.pi))


def log_weight(x, seed, width=_WIDTH):
    z = _SLOPE * x + width * tf.random.stateless_normal(tf.shape(x), seed)
    joint = log_normal(x, z, _NOISE) + log_normal(z, 0.0, 1.0)
    return joint - log_normal(z, _SLOPE * x, width)


def exact(x):
    return scipy.stats.norm(0, np.sqrt(1 + _NOISE**2)).logpdf(x)


def test_exact_posterior_gives_the_likelihood_at_once():
    x = np.linspace(-2, 2, 9).astype(np.float32)

    def weight(x, seed):
        return log_weight(x, seed, width=_NOISE * np.sqrt(_SLOPE))

    np.testing.assert_allclose(
        importance_weighted_bound(weight, x, draws=1), exact(x), atol=1e-5
    )


def test_bound_tightens_with_the_draws():
    x = np.random.RandomState(0).randn(2000).astype(np.float32)
    gaps = [
        np.mean(exact(x) - importance_weighted_bound(log_weight, x, draws))
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
    weights = [
        model.log_importance_weight(images, tf.constant([0, k])).numpy()
        for k in range(40)
    ]
    objective = [
        model.objective(images, 1.0, tf.constant([0, k])).loss for k in range(40)
    ]
    # The bound by two ways: KL at draws, and in closed form.
    difference = np.mean(weights) + np.mean(objective)
    error = np.std(np.mean(weights, axis=1)) / np.sqrt(40)
    assert abs(difference) < 4 * error + 4 * np.std(objective) / np.sqrt(40)


@pytest.mark.parametrize(("levels", "expected"), [(1, 2.0), (256, 10.0)])
def test_bits(levels, expected):
    nats = -2.0 * 12 * np.log(2)
    np.testing.assert_allclose(bits_per_dimension(nats, 12, levels), expected)
