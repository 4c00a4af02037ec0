"""The base class of flow priors: a normal z0 under a bijector."""

from collections.abc import Callable

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core import replicas
from tfp_priors.core.code_shape import LatentSize
from tfp_priors.core.replicas import fold_in
from tfp_priors.priors.dropout import dropping
from tfp_priors.priors.prior import Prior
from tfp_priors.priors.standardization import LatentStandardization

tfb = tfp.bijectors
tfd = tfp.distributions


class FlowPrior(Prior):
    """p(z) as the image of a base distribution of z0 under a bijector.

    z0 ~ N(m(context), I), z = from_base(z0); the paper's f is `to_base`. A subclass
    overrides `bijector`, and `build` for the variables of its own; the rest follows.

    Args:
      latent_size: dimensions of z and z0.
      standardize: see `Prior`.
      context_size: see `Prior`; the mean of z0 is a linear function of the context.
    """

    has_base = True
    is_invertible = True
    #: Whether the mean of z0 depends on the context.
    context_moves_base = True
    #: Share of the hidden units of each conditioner that a training step leaves out.
    dropout = 0.0

    def __init__(
        self,
        latent_size: LatentSize,
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        **kwargs,
    ):
        super().__init__(latent_size, standardize, context_size, **kwargs)
        self._base_mean = (
            keras.layers.Dense(self.latent_size, kernel_initializer="zeros")
            if context_size and self.context_moves_base
            else None
        )

    def _dropout(self, index: int) -> Callable | None:
        """The `dropout` of a conditioner; None outside of a step of training."""
        if self._step_seed is None or not self.dropout:
            return None
        seed = fold_in(self._step_seed, index)
        return dropping(self.dropout, seed)

    def build(self, input_shape=None):
        if self._base_mean is not None:
            self._base_mean.build((None, self.context_size))
        super().build(input_shape)

    def bijector(self, context=None) -> tfb.Bijector | None:
        """Maps z0 to standard codes, given a standard context; None: identity.

        That is TFP's forward direction. Made anew for each use: TFP's bijectors cache
        tensors, which must not outlive the graph that they belong to.
        """
        return None

    def base_distribution(self, context=None, temperature=1.0) -> tfd.Distribution:
        """The distribution of z0 given a standard context.

        Its standard deviation is scaled by `temperature`.
        """
        scale = tf.fill([self.latent_size], tf.cast(temperature, tf.float32))
        if context is None:
            loc = tf.zeros([self.latent_size])
        elif self._base_mean is None:
            loc = tf.zeros([tf.shape(context)[0], self.latent_size])
        else:
            loc = self._base_mean(context)
        return tfd.MultivariateNormalDiag(loc=loc, scale_diag=scale)

    def standard_distribution(self, context=None, temperature=1.0):
        base = self.base_distribution(context, temperature)
        bijector = self.bijector(context)
        if bijector is None:
            return base
        return tfd.TransformedDistribution(base, bijector)

    def _sample_base(self, n, seed, temperature, context):
        base = self.base_distribution(context, temperature)
        if context is not None:
            return replicas.sample(base, seed)
        return replicas.rows(lambda rows: base.sample([rows], seed=seed), n)

    def standard_sample(self, n, seed, temperature=1.0, context=None):
        z0 = self._sample_base(n, seed, temperature, context)
        return self._forward(z0, context)

    def _forward(self, z0, context):
        """z0 to standard codes."""
        bijector = self.bijector(context)
        return z0 if bijector is None else bijector.forward(z0)

    def _to_base(self, z, context):
        bijector = self.bijector(context)
        z = self.standardized(z)
        return tf.identity(z) if bijector is None else bijector.inverse(z)

    def _from_base(self, z0, context):
        return self.unstandardized(self._forward(z0, context))
