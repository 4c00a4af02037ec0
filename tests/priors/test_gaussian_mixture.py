import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tests.conftest import randomize
from tests.priors.contract import DensityContract
from tfp_priors.errors import UserError
from tfp_priors.priors import GaussianMixturePrior


def check_moments(draws, mean, covariance):
    scales = np.sqrt(np.diag(covariance))
    error = scales / np.sqrt(len(draws))
    assert np.all(abs(draws.mean(0) - mean) < 5 * error)
    correlations = (np.cov(draws.T) - covariance) / np.outer(scales, scales)
    assert np.abs(correlations).max() < 0.05


class TestGaussianMixturePrior(DensityContract):
    variables = 3  # logits, means, scales
    covariance = "full"

    def make(self, latent_size=5, **kwargs):
        return GaussianMixturePrior(
            latent_size, components=3, covariance=self.covariance, **kwargs
        )

    def test_density_against_scipy(self):
        prior, _ = self.built()
        mixture = prior.distribution()
        weights = scipy.special.softmax(prior.trainable_variables[0])
        means = prior.trainable_variables[1].numpy()
        covariances = mixture.components_distribution.covariance().numpy()
        z = np.random.RandomState(0).randn(9, 5).astype(np.float32)
        expected = scipy.special.logsumexp(
            [
                np.log(w) + scipy.stats.multivariate_normal(m, c).logpdf(z)
                for w, m, c in zip(weights, means, covariances, strict=True)
            ],
            axis=0,
        )
        np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-4)

    def test_draws_given_a_context_are_of_its_distribution(self):
        prior, context = self.built(context=True)
        context = tf.repeat(context[:1], 40_000, axis=0)
        draws = prior.sample(40_000, seed=1, context=context).numpy()
        truth = prior.distribution(context[:1])
        check_moments(draws, truth.mean()[0], truth.covariance()[0])

    @pytest.mark.parametrize("components", [2, 8])
    def test_draws_of_fewer_and_of_more_components_than_dimensions(self, components):
        prior = GaussianMixturePrior(4, components, covariance=self.covariance)
        prior.build()
        randomize(prior)
        draws = prior.sample(40_000, seed=1).numpy()
        truth = prior.distribution()
        check_moments(draws, truth.mean(), truth.covariance())

    def test_temperature_zero_draws_the_means(self):
        prior, _ = self.built()
        draws = prior.sample(50, tf.constant([1, 1]), temperature=0.0).numpy()
        means = prior.trainable_variables[1].numpy()
        distance = np.abs(draws[:, None] - means).max(-1)
        np.testing.assert_allclose(distance.min(1), 0.0, atol=1e-6)
        assert set(distance.argmin(1)) == {0, 1, 2}

    def test_fit_finds_the_truth(self):
        random = np.random.RandomState(0)
        means = np.array([[-8.0, 0.0], [8.0, 4.0]])
        factor = np.array([[1.0, 0.0], [0.5, 2.0]])
        if self.covariance == "diag":
            factor = np.diag([1.0, 2.0])
        which = random.rand(20_000) < 0.3
        noise = random.randn(20_000, 2) @ factor.T
        codes = (means[which.astype(int)] + noise).astype(np.float32)
        prior = GaussianMixturePrior(
            2, components=2, covariance=self.covariance, standardize=True
        )
        history = prior.fit(codes, validation_split=0.0).history
        assert history["loss"] == [pytest.approx(-np.mean(prior.log_prob(codes)))]
        density = [
            (1 - p) * scipy.stats.multivariate_normal(m, factor @ factor.T).pdf(codes)
            for p, m in zip((0.3, 0.7), means, strict=True)
        ]
        # 9 or 11 fitted numbers gain 11 / (2 n) nat on average, below 1e-3.
        truth = np.mean(np.log(sum(density)))
        np.testing.assert_allclose(np.mean(prior.log_prob(codes)), truth, atol=2e-3)

    def test_scale_floor(self):
        prior = GaussianMixturePrior(
            2, components=1, covariance=self.covariance, scale_floor=0.5
        )
        prior.build()
        prior.trainable_variables[2].assign(
            -50.0 * tf.ones_like(prior.trainable_variables[2])
        )
        scale = prior.distribution().components_distribution.scale.to_dense()[0]
        np.testing.assert_allclose(np.diag(scale), 0.5, rtol=1e-5)

    def test_fitted_scales_are_above_the_floor(self):
        """Twice as large where codes do not differ."""
        codes = np.random.RandomState(0).randn(200, 2) * [1.0, 0.0]
        prior = GaussianMixturePrior(
            2, components=1, covariance=self.covariance, scale_floor=0.1
        )
        prior.fit(codes, validation_split=0.0)
        covariance = prior.distribution().covariance()
        np.testing.assert_allclose(covariance[1, 1], 0.2**2, rtol=1e-3)

    def test_bad_arguments(self):
        with pytest.raises(UserError, match="expects a covariance of"):
            GaussianMixturePrior(4, covariance="none")
        with pytest.raises(UserError, match="GaussianMixturePrior.scale_floor must be"):
            GaussianMixturePrior(4, scale_floor=0)


class TestDiagonalMixture(TestGaussianMixturePrior):
    covariance = "diag"


def test_a_new_mixtures_means_are_spread_as_the_standard_normal():
    prior = GaussianMixturePrior(8, components=50)
    prior.build()
    means = prior.distribution().components_distribution.mean().numpy()
    # Of 400 numbers, four standard errors.
    assert abs(means.mean()) < 0.2 and abs(means.std() - 1.0) < 0.15
