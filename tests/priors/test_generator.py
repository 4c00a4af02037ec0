import numpy as np
import pytest
import tensorflow as tf

from tests.priors.contract import SEED
from tests.priors.contract import ImplicitContract
from tfp_priors.errors import UserError
from tfp_priors.priors import GeneratorPrior


class TestGeneratorPrior(ImplicitContract):
    variables = 4

    def make(self, latent_size=5, **kwargs):
        return GeneratorPrior(latent_size, base_size=3, hidden_sizes=(8,), **kwargs)

    def loss(self, prior, context):
        # No density: it learns through its draws.
        draws = prior.sample(7, SEED, context=context)
        return tf.reduce_mean(tf.square(draws - 1.0))

    def test_has_no_nll(self):
        prior, _ = self.built()
        assert not prior.has_nll
        with pytest.raises(UserError, match="GeneratorPrior has no density"):
            prior.nll(tf.zeros([1, 5]), 0.0)

    def test_draws_are_images_of_noise(self):
        prior, _ = self.built(standardize=True)
        z0 = tf.random.stateless_normal([7, 3], SEED)
        np.testing.assert_allclose(
            prior.from_base(z0), prior.sample(7, SEED), rtol=1e-5, atol=1e-5
        )
        cold = prior.sample(2, SEED, temperature=0.0)
        np.testing.assert_allclose(cold, prior.from_base(tf.zeros([2, 3])), atol=1e-5)

    def test_uniform_noise(self):
        prior = GeneratorPrior(5, hidden_sizes=(), noise="uniform")
        prior.build()
        kernel, bias = prior.trainable_variables
        kernel.assign(np.eye(5))
        bias.assign(np.zeros(5))
        draws = prior.sample(4000, SEED).numpy()
        assert np.abs(draws).max() <= 1.0
        # Variance 1/3, whose estimate from 20,000 draws has a standard error of 0.002.
        np.testing.assert_allclose(draws.var(), 1 / 3, atol=0.01)

    def test_unknown_noise(self):
        with pytest.raises(UserError, match="expects a noise of .*received 'cauchy'"):
            GeneratorPrior(5, noise="cauchy")
