"""The base class of priors with a density."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.checks import check_latent_size
from tfp_priors.errors import UserError
from tfp_priors.priors.standardization import LatentStandardization

tfb = tfp.bijectors
tfd = tfp.distributions


class Prior(keras.layers.Layer):
    """p(z) as the image of a base distribution of z0 under a bijector.

    z0 ~ N(m(context), I), z = from_base(z0); the paper's f is `to_base`. A subclass
    overrides `bijector`, and `build` for the variables of its own; the rest follows.

    Args:
      latent_size: dimensions of z and z0.
      standardize: put a `LatentStandardization` between the bijector and z.
      context_size: width of the context vector that conditions the prior; 0 for
        none. The mean of z0 then is a linear function of the context.
    """

    def __init__(
        self,
        latent_size: int,
        standardize: bool = False,
        context_size: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.latent_size = check_latent_size(latent_size, type(self).__name__)
        self.standardize = standardize
        self.context_size = context_size
        self._standardization = LatentStandardization() if standardize else None
        self._base_mean = (
            keras.layers.Dense(latent_size, kernel_initializer="zeros")
            if context_size
            else None
        )

    def build(self, input_shape=None):
        if self._standardization is not None:
            self._standardization.build((None, self.latent_size))
        if self._base_mean is not None:
            self._base_mean.build((None, self.context_size))
        self.built = True

    def call(self, z, context=None):
        """Returns `log_prob(z, context)`."""
        return self.log_prob(z, context)

    def bijector(self, context=None) -> tfb.Bijector | None:
        """Maps z0 to standardised z (TFP's forward direction); None: identity."""
        return None

    def base_distribution(self, context=None, temperature=1.0) -> tfd.Distribution:
        """The distribution of z0, its standard deviation scaled by `temperature`."""
        context = self._checked(context)
        scale = tf.fill([self.latent_size], tf.cast(temperature, tf.float32))
        if context is None:
            loc = tf.zeros([self.latent_size])
        else:
            loc = self._base_mean(context)
        return tfd.MultivariateNormalDiag(loc=loc, scale_diag=scale)

    def distribution(self, context=None, temperature=1.0) -> tfd.Distribution:
        """p(z) as a TFP distribution.

        Args:
          context: float tensor `[batch, context_size]`, or None.
          temperature: factor on the standard deviation of z0.

        Returns:
          A distribution with event shape `[latent_size]`; its batch shape is
          `[batch]` if there is a context and `[]` otherwise.
        """
        base = self.base_distribution(context, temperature)
        bijector = self._chain(context)
        if bijector is None:
            return base
        return tfd.TransformedDistribution(base, bijector)

    def log_prob(self, z, context=None):
        """log p(z) in nats: `[batch, latent_size]` to `[batch]`."""
        return self.distribution(context).log_prob(z)

    def sample(self, n, seed, temperature=1.0, context=None):
        """Draws n codes; the same seed gives the same codes.

        Args:
          n: number of codes.
          seed: int tensor of shape `[2]`, a stateless seed.
          temperature: factor on the standard deviation of z0.
          context: float tensor `[n, context_size]`, or None.

        Returns:
          Float tensor `[n, latent_size]`.
        """
        shape = [n] if context is None else []
        return self.distribution(context, temperature).sample(shape, seed=seed)

    def to_base(self, z, context=None):
        """z to z0 (the paper's f_theta); shape `[batch, latent_size]`."""
        bijector = self._chain(self._checked(context))
        return tf.identity(z) if bijector is None else bijector.inverse(z)

    def from_base(self, z0, context=None):
        """z0 to z, the inverse of `to_base`."""
        bijector = self._chain(self._checked(context))
        return tf.identity(z0) if bijector is None else bijector.forward(z0)

    def update_statistics(self, z) -> None:
        """Tells the prior of a batch of codes `[batch, latent_size]` in training."""
        if self._standardization is not None:
            self._standardization.update(z)

    def diagnostics(self, z, context=None) -> dict[str, Any]:
        """Named scalars that tell how the prior fares on the codes z."""
        return {}

    def get_config(self):
        return super().get_config() | {
            "latent_size": self.latent_size,
            "standardize": self.standardize,
            "context_size": self.context_size,
        }

    def _chain(self, context):
        # Made anew for each use: TFP's bijectors cache tensors, which must not
        # outlive the graph that they belong to.
        bijector = self.bijector(context)
        if self._standardization is None:
            return bijector
        affine = self._standardization.bijector()
        return affine if bijector is None else tfb.Chain([affine, bijector])

    def _checked(self, context):
        width = 0 if context is None else context.shape[-1]
        if width != self.context_size:
            raise UserError(
                f"{type(self).__name__} expects a context of width "
                f"{self.context_size}, received {'none' if not width else width}."
            )
        return context
