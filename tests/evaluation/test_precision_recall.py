import numpy as np
import pytest

from tfp_priors.evaluation.precision_recall import precision_recall


def brute_force(real, samples, k):
    def distances(a, b):
        return np.linalg.norm(a[:, None] - b[None], axis=-1)

    def radii(points):
        return np.sort(distances(points, points), axis=1)[:, k]

    between = distances(real, samples)  # [n, m]
    inside = between <= radii(real)[:, None]
    return (
        inside.any(0).mean(),
        (between <= radii(samples)[None]).any(1).mean(),
        inside.sum(0).mean() / k,
        inside.any(1).mean(),
    )


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_against_brute_force(k, shift):
    random = np.random.RandomState(0)
    real, samples = random.randn(60, 3), random.randn(50, 3) + shift
    received = precision_recall(real, samples, k)
    np.testing.assert_allclose(received, brute_force(real, samples, k), rtol=1e-9)


def test_dropped_modes_cost_recall_and_coverage_alone():
    random = np.random.RandomState(0)
    modes = np.repeat([[0.0, 0.0], [50.0, 0.0]], 300, axis=0)
    real = modes + random.randn(600, 2)
    samples = random.randn(600, 2)
    result = precision_recall(real, samples)
    assert result.precision > 0.9 and 0.9 < result.density < 1.2
    assert result.recall < 0.52 and result.coverage < 0.52


def test_outliers_cost_precision():
    real, samples = np.random.RandomState(0).randn(2, 400, 2)
    samples[:100] += 50.0
    result = precision_recall(real, samples)
    assert abs(result.precision - 0.75) < 0.03
