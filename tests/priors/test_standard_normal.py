import numpy as np
import scipy.stats
import tensorflow as tf

from tests.priors.contract import FlowContract
from tfp_priors.priors import StandardNormalPrior


class TestStandardNormalPrior(FlowContract):
    variables = 0

    def make(self, latent_size=5, **kwargs):
        return StandardNormalPrior(latent_size, **kwargs)

    def test_density_against_scipy(self):
        z = np.random.RandomState(0).randn(9, 5).astype(np.float32)
        expected = scipy.stats.multivariate_normal(np.zeros(5)).logpdf(z)
        np.testing.assert_allclose(self.make().log_prob(z), expected, rtol=1e-5)

    def test_temperature_scales_the_draws(self):
        seed = tf.constant([1, 1])
        cold = self.make().sample(9, seed, temperature=0.5)
        np.testing.assert_allclose(cold, 0.5 * self.make().sample(9, seed), rtol=1e-6)
