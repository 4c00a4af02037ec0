import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tests.conftest import randomize
from tests.priors.contract import SEED
from tests.priors.contract import ImplicitContract
from tfp_priors.errors import UserError
from tfp_priors.priors import SecondStageVAEPrior


class TestSecondStageVAEPrior(ImplicitContract):
    variables = 2 * 4 + 1  # two networks of two layers, gamma

    def make(self, latent_size=5, **kwargs):
        return SecondStageVAEPrior(latent_size, hidden_sizes=(8,), **kwargs)

    def test_nll_bounds_the_density_of_a_linear_model(self):
        # A linear g gives a normal p(z) = N(b, W^T W + gamma I), which is known.
        prior = SecondStageVAEPrior(2, hidden_sizes=(), standardize=True)
        prior.build()
        randomize(prior, scale=0.5)
        prior._standardization.mean.assign([1.0, -2.0])
        prior._standardization.variance.assign([4.0, 9.0])
        kernel, bias = prior._decoder.trainable_variables
        scale = np.sqrt([4.0, 9.0])
        covariance = kernel.numpy().T @ kernel.numpy() + prior.variance() * np.eye(2)
        p = scipy.stats.multivariate_normal(
            bias.numpy() * scale + [1.0, -2.0], covariance * np.outer(scale, scale)
        )
        z = p.rvs(20_000, random_state=0).astype(np.float32)
        bound = prior.nll(tf.constant(z), 0.0, SEED).numpy()
        exact = -p.logpdf(z)
        gap = bound - exact
        assert gap.mean() > 4 * gap.std() / np.sqrt(len(z)) > 0
        # The best q of the family is the exact posterior if that is diagonal: with
        # W = w I it is, and the gap closes but for the noise of a draw.
        kernel.assign(0.8 * np.eye(2))
        gamma = float(prior.variance())
        slope, variance = 0.8 / (0.64 + gamma), gamma / (0.64 + gamma)
        encoder_kernel, encoder_bias = prior._encoder.trainable_variables
        raw = np.log(np.expm1(np.sqrt(variance) - 1e-3))
        encoder_kernel.assign(np.c_[slope * np.eye(2), np.zeros((2, 2))])
        encoder_bias.assign(np.r_[-slope * bias.numpy(), raw, raw])
        covariance = (0.64 + gamma) * np.diag(scale**2)
        p = scipy.stats.multivariate_normal(p.mean, covariance)
        z = p.rvs(20_000, random_state=1).astype(np.float32)
        gap = prior.nll(tf.constant(z), 0.0, SEED).numpy() + p.logpdf(z)
        assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(len(z))

    @pytest.mark.parametrize("temperature", [0.5, 1.0])
    def test_draws_of_a_linear_model(self, temperature):
        prior = SecondStageVAEPrior(2, hidden_sizes=())
        prior.build()
        kernel, bias = prior._decoder.trainable_variables
        kernel.assign([[1.0, 0.5], [0.0, 0.3]])
        bias.assign([3.0, 0.0])
        draws = prior.sample(40_000, SEED, temperature).numpy()
        # Standard errors are below 0.01.
        np.testing.assert_allclose(draws.mean(0), [3.0, 0.0], atol=0.04)
        expected = temperature**2 * (kernel.numpy().T @ kernel.numpy() + np.eye(2))
        np.testing.assert_allclose(np.cov(draws.T), expected, atol=0.05)

    def test_knows_a_bound_only(self):
        prior, _ = self.built()
        assert prior.has_nll
        with pytest.raises(UserError, match="its z0 is a random function of z"):
            prior.to_base(tf.zeros([1, 5]))
        assert prior.from_base(tf.zeros([3, 5])).shape == (3, 5)
