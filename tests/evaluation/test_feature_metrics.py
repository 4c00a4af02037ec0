import itertools

import numpy as np
import pytest
import scipy.linalg

from tfp_priors.errors import UserError
from tfp_priors.evaluation.feature_metrics import classifier_score
from tfp_priors.evaluation.feature_metrics import frechet_distance
from tfp_priors.evaluation.feature_metrics import frechet_distance_of_moments
from tfp_priors.evaluation.feature_metrics import kernel_distance
from tfp_priors.evaluation.feature_metrics import moments
from tfp_priors.evaluation.tfgan import classifier_metrics


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


def test_frechet_distance_is_tfgans_of_activations():
    random = np.random.RandomState(0)
    a, b = random.randn(300, 8), random.randn(200, 8) @ random.randn(8, 8)
    expected = classifier_metrics().frechet_classifier_distance_from_activations(a, b)
    np.testing.assert_allclose(frechet_distance(a, b), expected, rtol=1e-9)


def test_frechet_distance_of_two_normals_in_closed_form():
    """Diagonal covariances: |m - m'|^2 + sum (s - s')^2; errors of 1 / sqrt(n)."""
    random = np.random.RandomState(0)
    mean, scale = np.array([1.0, -2.0, 0.5]), np.array([0.5, 1.0, 3.0])
    a, b = random.randn(2, 200_000, 3)
    expected = np.sum(mean**2) + np.sum((1 - scale) ** 2)
    received = frechet_distance(a, mean + scale * b)
    np.testing.assert_allclose(received, expected, rtol=0.01)


def test_float32_features_far_from_zero_lose_nothing():
    a = (1000.0 + np.random.RandomState(0).randn(500, 5)).astype(np.float32)
    b = a + np.float32(0.5)
    np.testing.assert_allclose(frechet_distance(a, b), 5 * 0.25, rtol=1e-4)


@pytest.mark.parametrize("sizes", [(500,), (1, 499), (100, 0, 250, 150)])
def test_moments_in_chunks(sizes):
    x = 100.0 + np.random.RandomState(0).randn(500, 4)
    chunks = np.split(x, np.cumsum(sizes)[:-1])
    result = moments(chunk for chunk in chunks if len(chunk))
    assert result.n == 500
    np.testing.assert_allclose(result.mean, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(result.covariance, np.cov(x.T), rtol=1e-9, atol=1e-12)


def test_too_few_images_for_the_covariance_warn():
    a, b = np.random.RandomState(0).randn(2, 10, 12)
    with pytest.warns(UserWarning, match="at least 13 are needed"):
        distance = frechet_distance(a, b)
    assert np.isfinite(distance)


def test_bad_features():
    a = np.random.RandomState(0).randn(50, 3)
    with pytest.raises(UserError, match="one size are needed, received 3 and 2"):
        frechet_distance(a, a[:, :2])
    with pytest.raises(UserError, match="NaN or infinity"):
        moments([np.where(a > 2, np.nan, a)])
    with pytest.raises(UserError, match="at least 2 images, received 1"):
        frechet_distance_of_moments(moments([a]), moments([a[:1]]))


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
