import numpy as np
import pytest
import scipy.stats

from tfp_priors.evaluation.latent_match import sliced_wasserstein
from tfp_priors.evaluation.latent_match import two_sample_accuracy


@pytest.mark.parametrize("classifier", ["quadratic", "mlp"])
def test_same_distribution_is_chance(classifier):
    a, b = np.random.RandomState(0).randn(2, 4000, 3)
    # 4,000 test points: 3 standard errors of 0.5 / sqrt(4000).
    assert abs(two_sample_accuracy(a, b, classifier) - 0.5) < 0.024


@pytest.mark.parametrize("classifier", ["quadratic", "mlp"])
def test_known_shift_gives_the_bayes_accuracy(classifier):
    a, b = np.random.RandomState(0).randn(2, 4000, 2)
    # Two unit normals at distance 2: the best accuracy is Phi(1) = 0.841.
    best = scipy.stats.norm.cdf(1.0)
    accuracy = two_sample_accuracy(a, b + [2.0, 0.0], classifier)
    assert abs(accuracy - best) < 3 * np.sqrt(best * (1 - best) / 4000) + 0.01


def test_mlp_sees_what_moments_do_not():
    # A ring and a normal with the ring's covariance.
    random = np.random.RandomState(0)
    angle = random.uniform(0, 2 * np.pi, 4000)
    ring = np.c_[np.cos(angle), np.sin(angle)] * np.sqrt(2)
    normal = random.randn(4000, 2)
    assert two_sample_accuracy(ring, normal, "mlp") > 0.85


def test_unknown_classifier():
    with pytest.raises(ValueError, match="'quadratic' or 'mlp'"):
        two_sample_accuracy(np.zeros((9, 2)), np.zeros((9, 2)), "svm")


def test_sliced_wasserstein_of_a_shift():
    # A shift by v costs |v cos(angle)|, on average 2 |v| / pi in two dimensions; the
    # mean over 4,000 random directions has a standard error of 0.005 |v|.
    z = np.random.RandomState(0).randn(500, 2)
    distance = sliced_wasserstein(z, z + [3.0, 0.0], directions=4000)
    np.testing.assert_allclose(distance, 6 / np.pi, atol=0.06)
    assert sliced_wasserstein(z, np.flip(z, axis=0)) < 1e-12


def test_sliced_wasserstein_against_scipy():
    a, b = np.random.RandomState(0).randn(2, 300, 1)
    expected = scipy.stats.wasserstein_distance(a[:, 0], b[:, 0])
    np.testing.assert_allclose(sliced_wasserstein(a, b), expected, rtol=1e-6)
