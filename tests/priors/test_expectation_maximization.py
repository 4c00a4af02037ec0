import tracemalloc

import numpy as np
import pytest
import scipy.special
import scipy.stats
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_info

from tfp_priors.errors import UserError
from tfp_priors.priors import expectation_maximization
from tfp_priors.priors.expectation_maximization import fit_mixture
from tfp_priors.priors.expectation_maximization import whitening

MEANS = np.array([[-3.0, 0.0, 1.0], [3.0, 1.0, 0.0], [0.0, -3.0, 0.0]])
FACTORS = np.array(
    [
        [[0.5, 0, 0], [0.3, 1.0, 0], [0, -0.2, 0.7]],
        [[1.0, 0, 0], [-0.5, 0.4, 0], [0.1, 0.1, 1.0]],
        [[0.8, 0, 0], [0, 0.8, 0], [0.7, 0, 0.2]],
    ]
)
WEIGHTS = np.array([0.5, 0.3, 0.2])


def draws(size, seed=0):
    random = np.random.RandomState(seed)
    which = random.choice(3, size, p=WEIGHTS)
    noise = random.randn(size, 3)
    z = MEANS[which] + np.einsum("nij,nj->ni", FACTORS[which], noise)
    return z.astype(np.float32)


def log_density(mixture, z):
    parts = [
        np.log(w) + scipy.stats.multivariate_normal(m, c).logpdf(z)
        for w, m, c in zip(*mixture, strict=True)
    ]
    return scipy.special.logsumexp(parts, axis=0)


@pytest.mark.parametrize("diagonal", [False, True])
def test_as_scikit_learn(diagonal):
    z = draws(4_000)
    mixture = fit_mixture(z, 3, 100, floor=1e-6, diagonal=diagonal)
    peer = GaussianMixture(
        3, covariance_type="diag" if diagonal else "full", random_state=0, tol=1e-5
    ).fit(z)
    order, peers = np.argsort(mixture.weights), np.argsort(peer.weights_)
    np.testing.assert_allclose(mixture.weights[order], peer.weights_[peers], atol=5e-3)
    np.testing.assert_allclose(mixture.means[order], peer.means_[peers], atol=0.05)
    np.testing.assert_allclose(
        mixture.covariances[order], peer.covariances_[peers], atol=0.05
    )
    assert log_density(mixture, z).mean() > peer.score(z) - 2e-3


def test_a_diagonal_mixture_takes_no_matrix_for_each_component():
    """64 of them would have 2 GB in 2,000 dimensions."""
    z = np.random.RandomState(0).randn(100, 2_000).astype(np.float32)
    tracemalloc.start()
    mixture = fit_mixture(z, 64, 2, diagonal=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert mixture.covariances.shape == (64, 2_000)
    assert peak < 100 * 2**20


def test_of_many_codes_parts_lead_to_the_truth():
    mixture = fit_mixture(draws(100_000), 3, 60)
    truth = (WEIGHTS, MEANS, FACTORS @ FACTORS.transpose(0, 2, 1))
    z = draws(20_000, seed=1)
    assert log_density(mixture, z).mean() > log_density(truth, z).mean() - 3e-3


def test_codes_far_from_zero_lose_no_digits():
    z = 0.01 * draws(4_000) + np.float32(100.0)
    mixture = fit_mixture(z, 3, 100, floor=1e-12)
    near = fit_mixture(0.01 * draws(4_000), 3, 100, floor=1e-12)
    np.testing.assert_allclose(
        log_density(mixture, z).mean(),
        log_density(near, 0.01 * draws(4_000)).mean(),
        atol=0.05,
    )


def test_shrinkage_draws_covariances_together():
    spread = [
        np.ptp(fit_mixture(draws(3_000), 3, 50, shrinkage=s).covariances, axis=0).max()
        for s in (0.0, 1_000.0, 1e9)
    ]
    assert spread[0] > 1.3 * spread[1] > 0 and spread[2] < 1e-4


def test_first_covariances_of_few_codes_are_drawn_to_the_mean_of_all():
    """By as many codes as there are dimensions: 2, to a cluster of 5 equal ones."""
    codes = np.random.RandomState(0).randn(100, 2)
    codes[:5] = 100.0
    mixture = fit_mixture(codes, 2, iterations=0)
    pooled = 0.95 * np.cov(codes[5:].T, bias=True)
    few = np.argmin(mixture.weights)
    np.testing.assert_allclose(mixture.weights[few], 0.05, rtol=1e-5)
    expected = 2 / (5 + 2) * pooled
    np.testing.assert_allclose(mixture.covariances[few], expected, atol=1e-4)


def test_whitening_is_the_inverse_factor():
    mixture = fit_mixture(draws(2_000), 3, 20)
    inverses, constants = whitening(mixture)
    for inverse, covariance in zip(inverses, mixture.covariances, strict=True):
        np.testing.assert_allclose(
            inverse @ covariance @ inverse.T, np.eye(3), atol=1e-6
        )
    expected = np.log(mixture.weights) - 0.5 * np.linalg.slogdet(mixture.covariances)[1]
    np.testing.assert_allclose(constants, expected, rtol=1e-6)


def test_too_few_codes():
    with pytest.raises(UserError, match="3 codes for a mixture of 3, received 2"):
        fit_mixture(draws(2), 3)


@pytest.mark.slow
def test_parts_of_the_codes_lead_as_far_as_all():
    random = np.random.RandomState(0)
    waves = np.sin(random.randn(60_000, 3) @ random.randn(3, 8))
    z = (waves + 0.2 * random.randn(60_000, 8)).astype(np.float32)
    peer = GaussianMixture(10, random_state=0).fit(z)
    found = log_density(fit_mixture(z, 10, 200), z).mean()
    assert found > peer.score(z) - 0.02


def test_it_takes_one_thread(monkeypatch):
    # Several wait for each other where other processes keep the cores busy.
    counts = []

    def fitted(*args):
        counts.extend(pool["num_threads"] for pool in threadpool_info())

    monkeypatch.setattr(expectation_maximization, "_fitted", fitted)
    fit_mixture(draws(20), 3)
    assert len(counts) > 1 and set(counts) == {1}
