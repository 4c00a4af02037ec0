"""A model that draws images: codes of a prior, decoded."""

import math

import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.models.grouped_model import GroupedModel


class GenerativeModel(GroupedModel):
    """What is common to models with a prior and a decoder.

    A subclass has an attribute `prior`, a `Prior`, and defines `decode`.
    """

    #: Whether images have codes: `encode`, `reconstruct` and `posterior` are there.
    has_encoder = False

    @property
    def latent_size(self) -> int:
        """Dimensions of z."""
        return self.prior.latent_size

    #: What the model is conditional on; see `LatentVariableModel`.
    conditioner = None

    def context(self, condition):
        """The prior's context, `[batch, context_size]`; None without a condition."""
        return None if condition is None else self.conditioner(condition)

    def condition_of(self, batch):
        """The condition of a batch of data, `[batch, ...]`, or None."""
        if self.conditioner is None:
            return None
        return self.feature(batch, self.conditioner.feature)

    def check_data(self, image_shape, features):
        super().check_data(image_shape, features)
        if self.conditioner is None:
            return
        name = self.conditioner.feature
        shape = features[name].shape[1:] if name in features else None
        if shape is None or tuple(shape) != self.conditioner.condition_shape:
            raise UserError(
                f"The model is conditional on a feature {name!r} of shape "
                f"{self.conditioner.condition_shape}; the data has "
                f"{', '.join(features) or 'no features'}. Choose a data set with poses."
            )

    def decode(self, z, training=False, condition=None):
        """Codes `[batch, latent_size]` to expected images in [0, 1]."""
        raise NotImplementedError

    def sample(self, n, seed=0, temperature=1.0, condition=None):
        """Draws images from the model.

        Args:
          n: number of images.
          seed: int; the same seed gives the same images.
          temperature: factor on the standard deviation of z0; see `Prior.distribution`.
          condition: of a conditional model, one for each image, `[n, ...]`.

        Returns:
          Float tensor `[n, height, width, channels]` in [0, 1].
        """
        is_known = isinstance(temperature, (int, float))
        if is_known and not 0 <= temperature < math.inf:
            raise UserError(f"Expected a temperature >= 0, received {temperature}.")
        z = self.sample_prior(n, seed, temperature, condition)
        if condition is None:
            return self.decode(z)
        return self.decode(z, condition=condition)

    def sample_of_condition(self, condition, n, seed=0):
        """Draws n images for one condition, `[...]`; see `sample`."""
        return self.sample(n, seed, condition=tf.repeat(condition[None], n, axis=0))

    def sample_prior(self, n, seed=0, temperature=1.0, condition=None):
        """Draws n codes from the prior, `[n, latent_size]`; see `sample`."""
        stateless_seed = tf.stack([tf.cast(seed, tf.int32), 0])
        return self.prior.sample(
            n, stateless_seed, temperature, self.context(condition)
        )

    def to_base(self, z, condition=None):
        """z to z0, both `[batch, latent_size]`."""
        return self.prior.to_base(z, self.context(condition))

    def from_base(self, z0, condition=None):
        """z0 to z, both `[batch, latent_size]`."""
        return self.prior.from_base(z0, self.context(condition))

    def log_prob(self, z, condition=None):
        """log p(z) under the prior in nats, `[batch]`."""
        return self.prior.log_prob(z, self.context(condition))
