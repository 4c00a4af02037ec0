import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from tfp_priors.errors import UserError
from tfp_priors.latent_space import latent_match
from tfp_priors.latent_space.latent_match import mmd
from tfp_priors.latent_space.latent_match import sliced_wasserstein
from tfp_priors.latent_space.latent_match import two_sample_accuracy


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


@pytest.mark.parametrize("classifier", ["quadratic", "mlp"])
def test_a_condition_in_both_samples_tells_nothing(classifier):
    # A perfect prior: what a classifier learns of the condition of one code would be
    # wrong of the draw that has the same one.
    random = np.random.RandomState(0)
    condition = random.randn(2000, 30)
    pairs = (np.hstack([random.randn(2000, 2), condition]) for _ in range(2))
    # 2,000 test points: 3 standard errors.
    assert abs(two_sample_accuracy(*pairs, classifier) - 0.5) < 0.034


@pytest.mark.parametrize("measure", [two_sample_accuracy, sliced_wasserstein])
def test_the_larger_sample_is_cut_at_random(measure):
    # Sorted, as codes of files may be: the first half of it is another distribution.
    a, b = np.random.RandomState(0).randn(2, 4000, 1)
    same = measure(a[:2000], b[2000:])
    assert measure(a[:2000], np.sort(b, axis=0)) < same + 0.06


def test_monomials_that_take_too_much_memory_are_refused():
    codes = np.zeros((20_000, 128), np.float32)
    with pytest.raises(UserError, match="8384 monomials of each of 40000 rows: take"):
        two_sample_accuracy(codes, codes, "quadratic")


def test_codes_that_are_not_finite_are_named():
    with pytest.raises(UserError, match="prior_codes must be finite, received 1 NaN"):
        two_sample_accuracy(np.zeros((20, 1)), np.r_[np.nan, np.zeros(19)][:, None])


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


def mmd_by_loops(x, y, pool):
    """The value and the standard error, pair by pair."""
    median = np.median(scipy.spatial.distance.pdist(pool))

    def mean_kernel(point, others):
        squares = [np.sum((point - other) ** 2) / median**2 for other in others]
        scales = (1 / 4, 1 / 2, 1, 2, 4)
        return np.mean([[np.exp(-d / (2 * s**2)) for s in scales] for d in squares]) * 5

    value, variance = 0.0, 0.0
    for own, others in ((x, y), (y, x)):
        shares = [
            mean_kernel(point, np.delete(own, i, axis=0)) - mean_kernel(point, others)
            for i, point in enumerate(own)
        ]
        value += np.mean(shares)
        variance += 4 * np.var(shares, ddof=1) / len(own)
    return value, np.sqrt(variance)


def test_mmd_against_a_double_loop():
    random = np.random.RandomState(0)
    x, y = random.randn(14, 3), random.randn(7, 3) + 1.0
    # The median is over as many codes as draws, evenly spaced.
    pool = np.concatenate([x[[0, 2, 4, 6, 8, 10, 13]], y])
    np.testing.assert_allclose(mmd(x, y), mmd_by_loops(x, y, pool), rtol=1e-10)
    np.testing.assert_allclose(mmd(y, x), mmd(x, y), rtol=1e-10)


def test_mmd_of_equal_distributions_is_noise():
    random = np.random.RandomState(0)
    estimate = mmd(random.randn(900, 4), random.randn(700, 4))
    assert abs(estimate.value) < 4 * estimate.standard_error
    shifted = mmd(random.randn(900, 4), random.randn(700, 4) + [0.7, 0, 0, 0])
    assert shifted.value > 6 * shifted.standard_error


def test_mmd_of_normals_in_closed_form():
    # E k(x, y) for x - y ~ N(m, 2) and bandwidth s: s / sqrt(s^2 + 2)
    # exp(-m^2 / (2 (s^2 + 2))).
    random = np.random.RandomState(0)
    x, y = random.randn(1000, 1), random.randn(1000, 1) + 1.5
    pool = np.concatenate([x, y])
    s = np.median(scipy.spatial.distance.pdist(pool)) * 2.0 ** np.arange(-2, 3)
    expected = np.sum(
        2 * s / np.sqrt(s**2 + 2) * (1 - np.exp(-(1.5**2) / (2 * (s**2 + 2))))
    )
    estimate = mmd(x, y)
    assert abs(estimate.value - expected) < 4 * estimate.standard_error
    assert estimate.standard_error < 0.1 * expected


def test_mmd_and_its_error_over_repetitions():
    random = np.random.RandomState(0)
    ratios = {}
    for shift in (0.0, 2.0):
        values, errors = np.transpose(
            [mmd(random.randn(40, 2), random.randn(60, 2) + shift) for _ in range(200)]
        )
        ratios[shift] = np.sqrt(np.mean(errors**2)) / np.std(values)
        if shift == 0.0:
            # Unbiased: some estimates are negative, and their mean is 0.
            assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)
            assert min(values) < 0
    # The deviation of 200 values has a standard error of 5 %, of the skewed null more.
    np.testing.assert_allclose(ratios[0.0], np.sqrt(2), rtol=0.2)
    np.testing.assert_allclose(ratios[2.0], 1.0, rtol=0.2)


def test_mmd_has_no_scale_and_no_place():
    random = np.random.RandomState(0)
    x, y = random.randn(300, 3), random.randn(200, 3) + 0.3
    expected = mmd(x, y)
    for scale, place in ((1e-3, 0.0), (1e3, 0.0), (1.0, 50.0)):
        received = mmd(scale * x + place, scale * y + place)
        np.testing.assert_allclose(received, expected, rtol=1e-7)


def test_mmd_in_blocks_equals_mmd_at_once(monkeypatch):
    random = np.random.RandomState(0)
    x, y = random.randn(300, 2), random.randn(200, 2) + 0.3
    whole = mmd(x, y)
    # 1 / 64 MiB are 2,048 distances: ten rows of 200.
    monkeypatch.setattr(latent_match, "_BLOCK_MIB", 1 / 64)
    np.testing.assert_allclose(mmd(x, y), whole, rtol=1e-10)


def test_mmd_of_bad_input():
    x, y = np.random.RandomState(0).randn(2, 10, 3)
    with pytest.raises(UserError, match="at least 2 codes and 2 draws .* 10 and 1"):
        mmd(x, y[:1])
    with pytest.raises(UserError, match="codes, prior_codes must have rows of one"):
        mmd(x, y[:, :2])
    with pytest.raises(UserError, match="prior_codes must be finite, received 1 NaN"):
        mmd(x, np.where(y == y[0, 0], np.nan, y))
    for collapsed in (np.zeros((10, 3)), np.full((10, 3), 0.1)):
        with pytest.raises(UserError, match="codes that differ, .* a collapsed"):
            mmd(collapsed, collapsed)
