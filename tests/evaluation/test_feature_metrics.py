import itertools

import numpy as np
import pytest
import scipy.linalg

from tfp_priors.evaluation.feature_metrics import classifier_score
from tfp_priors.evaluation.feature_metrics import frechet_distance
from tfp_priors.evaluation.feature_metrics import kernel_distance


def test_frechet_distance_against_scipy():
    random = np.random.RandomState(0)
    a = random.randn(300, 6) @ random.randn(6, 6)
    b = random.randn(400, 6) @ random.randn(6, 6) + 1.0
    covariances = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(
        covariances[0] + covariances[1] - 2 * root
    )
    np.testing.assert_allclose(frechet_distance(a, b), expected, rtol=1e-6)


def test_frechet_distance_of_known_cases():
    a = np.random.RandomState(0).randn(500, 7)
    np.testing.assert_allclose(frechet_distance(a, a), 0.0, atol=1e-6)
    # A shift by c in all d dimensions costs d c^2.
    np.testing.assert_allclose(frechet_distance(a, a + 3.0), 7 * 9.0, rtol=1e-6)
    # Twice the scale about the mean: tr(S) + 4 tr(S) - 2 * 2 tr(S) = tr(S).
    centred = a - a.mean(0)
    expected = np.trace(np.cov(a.T))
    np.testing.assert_allclose(
        frechet_distance(centred, 2 * centred), expected, rtol=1e-6
    )


def test_kernel_distance_against_a_double_loop():
    random = np.random.RandomState(0)
    a, b = random.randn(6, 3), random.randn(6, 3) + 0.5

    def mean(pairs):
        values = [(x @ y / 3 + 1) ** 3 for x, y in pairs]
        return sum(values) / len(values)

    within = [list(itertools.combinations(points, 2)) for points in (a, b)]
    between = list(itertools.product(a, b))
    expected = mean(within[0]) + mean(within[1]) - 2 * mean(between)
    np.testing.assert_allclose(kernel_distance(a, b).value, expected, rtol=1e-6)


def test_kernel_distance_of_equal_distributions_is_noise():
    a, b = np.random.RandomState(0).randn(2, 2000, 4)
    estimate = kernel_distance(a, b, block_size=100)
    assert abs(estimate.value) < 4 * estimate.standard_error
    assert kernel_distance(a, b + 1.0, 100).value > 10 * estimate.standard_error


@pytest.mark.parametrize("classes", [2, 10])
def test_classifier_score_of_sure_and_of_blind_classifiers(classes):
    sure = 100.0 * np.eye(classes)[np.arange(50 * classes) % classes]
    np.testing.assert_allclose(classifier_score(sure), classes, rtol=1e-6)
    blind = np.zeros((50, classes))
    np.testing.assert_allclose(classifier_score(blind), 1.0, rtol=1e-6)


def test_classifier_score_against_numpy():
    logits = np.random.RandomState(0).randn(100, 5)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    kl = (p * (np.log(p) - np.log(p.mean(0)))).sum(1)
    np.testing.assert_allclose(classifier_score(logits), np.exp(kl.mean()), rtol=1e-6)
