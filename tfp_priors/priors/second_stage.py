"""The second stage of a 2-Stage VAE: a VAE of the codes (Dai & Wipf 2019)."""

import math
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core import replicas
from tfp_priors.core.code_shape import LatentSize
from tfp_priors.core.gradients import scale_gradient
from tfp_priors.errors import check_widths
from tfp_priors.errors import check_within
from tfp_priors.networks import MLP
from tfp_priors.networks.conditional import beside
from tfp_priors.priors.prior import Prior
from tfp_priors.priors.standardization import LatentStandardization

tfd = tfp.distributions


class SecondStageVAEPrior(Prior):
    """z ~ N(g(z0), gamma I), z0 ~ N(0, I), with its own encoder q(z0|z).

    log p(z) is an integral over z0, of which the training knows a lower bound: `nll`
    is there, `log_prob` is not. `from_base` gives the mean of z.

    Args:
      latent_size: dimensions of z and z0.
      hidden_sizes: hidden units of the encoder and of g.
      gamma_floor: smallest learned variance gamma.
      standardize: see `Prior`.
      context_size: see `Prior`; the context is an input of both networks.
    """

    has_density = False

    def __init__(
        self,
        latent_size: LatentSize,
        hidden_sizes: Sequence[int] = (1024, 1024, 1024),
        gamma_floor: float = 1e-6,
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        **kwargs,
    ):
        super().__init__(latent_size, standardize, context_size, **kwargs)
        self.hidden_sizes = check_widths(type(self).__name__, hidden_sizes)
        check_within(type(self).__name__, "(0, inf)", gamma_floor=gamma_floor)
        self.gamma_floor = gamma_floor
        self._encoder = MLP(self.hidden_sizes, 2 * self.latent_size)
        self._decoder = MLP(self.hidden_sizes, self.latent_size)

    @property
    def has_nll(self):
        return True

    def build(self, input_shape=None):
        for network in (self._encoder, self._decoder):
            network.build((None, self.latent_size + self.context_size))
        self._log_gamma = self.add_weight(
            name="log_gamma", shape=(), initializer="zeros"
        )
        super().build(input_shape)

    def variance(self):
        """The present gamma, a scalar."""
        return self.gamma_floor + tf.exp(self._log_gamma)

    def nll(self, z, beta, seed=None, context=None):
        """-E_q[log p(z|z0)] + KL[q(z0|z) || N(0, I)], at one draw of z0."""
        context = self.standard_context(context)
        z = scale_gradient(z, beta)
        standard, log_det = self.standardization(z)
        outputs = self._encoder(beside(standard, context))
        mean, raw_scale = tf.split(outputs, 2, axis=-1)
        q = tfd.MultivariateNormalDiag(mean, 1e-3 + tf.nn.softplus(raw_scale))
        z0 = replicas.sample(q, seed)
        error = tf.math.squared_difference(standard, self._decoder(beside(z0, context)))
        gamma = self.variance()
        per_dimension = error / gamma + tf.math.log(2.0 * math.pi * gamma)
        base = tfd.MultivariateNormalDiag(tf.zeros_like(mean), tf.ones_like(mean))
        bound = 0.5 * tf.reduce_sum(per_dimension, axis=-1) + tfd.kl_divergence(q, base)
        return bound - log_det

    def standard_sample(self, n, seed, temperature=1.0, context=None):
        seeds = tf.random.experimental.stateless_split(seed, 2)
        z0 = temperature * replicas.noise(n, self.latent_size, seeds[0])
        noise = replicas.noise(n, self.latent_size, seeds[1])
        mean = self._decoder(beside(z0, context))
        return mean + temperature * tf.sqrt(self.variance()) * noise

    def _from_base(self, z0, context):
        return self.unstandardized(self._decoder(beside(z0, context)))

    def _why_no_base(self):
        return "its z0 is a random function of z"
