import numpy as np
import pytest
from prdc import compute_prdc

from tfp_priors.errors import UserError
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


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_against_the_package_of_naeem_et_al(k, shift):
    # Its balls exclude their surface; no distance of random points lies on one.
    random = np.random.RandomState(0)
    real, samples = random.randn(300, 5), random.randn(200, 5) + shift
    expected = compute_prdc(real, samples, nearest_k=k)
    received = precision_recall(real, samples, k)._asdict()
    assert received == pytest.approx(expected, rel=1e-12)
    assert 0.1 < received["recall"] < 0.9 or shift == 0.0


def test_bad_input():
    real, samples = np.random.RandomState(0).randn(2, 10, 3)
    for k in (0, 10):
        with pytest.raises(UserError, match=f"k = {k}, 10 real points and 11 samples"):
            precision_recall(real, np.r_[samples, samples[:1]], k)
    with pytest.raises(UserError, match="real, samples must have rows of one shape"):
        precision_recall(real, samples[:, :2])
    with pytest.raises(UserError, match="samples must be finite, received 1 NaN"):
        precision_recall(real, np.where(samples == samples[0, 0], np.nan, samples))
