import itertools

import numpy as np
import pytest

from tfp_priors.errors import UserError
from tfp_priors.evaluation.memorization import memorization


def test_fresh_draws_are_not_memorized():
    random = np.random.RandomState(0)
    samples, train, test = random.randn(3, 2000, 4)
    result = memorization(samples, train, test)
    assert abs(result.z) < 3
    assert abs(result.share - 0.5) < 3 * result.standard_error
    # Independent samples alone would give 0.5 / sqrt(n); popular points add to it.
    assert 1.0 < result.standard_error / (0.5 / np.sqrt(2000)) < 2.0
    assert (result.samples, result.points) == (2000, 2000)


@pytest.mark.parametrize("size", [3, 30])
def test_copies_are_found(size):
    random = np.random.RandomState(0)
    train, test = random.randn(2, 300, size).astype(np.float32)
    noise = 1e-4 * random.randn(300, size)
    copied = memorization(train + noise, train, test)
    assert copied.share == 0.0 and copied.z < -8
    fresh = memorization(test + noise, train, test)
    assert fresh.share == 1.0 and fresh.z > 8


def test_standard_error_against_every_split():
    # All 70 ways to choose 4 test points of 8, with a hub at the origin.
    random = np.random.RandomState(0)
    pool = np.r_[[[0.0, 0.0]], 2 * random.randn(7, 2)]
    samples = random.randn(25, 2)
    results = []
    for chosen in itertools.combinations(range(8), 4):
        rest = [i for i in range(8) if i not in chosen]
        results.append(memorization(samples, pool[rest], pool[list(chosen)]))
    shares = [result.share for result in results]
    np.testing.assert_allclose(np.mean(shares), 0.5, rtol=1e-12)
    errors = [result.standard_error for result in results]
    # The choice of nearest points is the same in every split, and so is the error.
    np.testing.assert_allclose(errors, np.std(shares), rtol=1e-12)
    np.testing.assert_allclose(
        [result.z for result in results],
        (np.array(shares) - 0.5) / np.std(shares),
        atol=1e-12,
    )


@pytest.mark.parametrize("size", [3, 30])
def test_ties_count_half(size):
    points = np.random.RandomState(0).randn(40, size)
    result = memorization(points + 1e-3, points, points[::-1])
    assert result.share == 0.5
    # Every point is chosen by half a sample: no variance at all.
    assert result.standard_error == 0.0 and result.z == 0.0


def test_unequal_sizes():
    random = np.random.RandomState(0)
    samples, train, test = (random.randn(n, 3) for n in (1500, 6000, 500))
    result = memorization(samples, train, test)
    assert (result.samples, result.points) == (1500, 500)
    assert abs(result.z) < 3
    assert memorization(samples, train, test) == result
    assert memorization(samples, train, test, seed=1).share != result.share
    # Uncut, twelve times as many training points would win nearly always.
    swapped = memorization(samples, test, train)
    assert abs(swapped.z) < 3


def test_bad_input():
    a, b = np.random.RandomState(0).randn(2, 10, 3)
    with pytest.raises(UserError, match="samples, train, test must have rows of one"):
        memorization(a[:, None], a, b)
    with pytest.raises(UserError, match="test must be finite, received 3 NaN"):
        memorization(a, b, np.r_[b, np.full((1, 3), np.nan)])
    with pytest.raises(UserError, match="train must be an array .* shape \\(0, 3\\)"):
        memorization(a, b[:0], b)
