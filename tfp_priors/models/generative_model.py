"""A model that draws images: codes of a prior, decoded."""

import tensorflow as tf

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

    def decode(self, z):
        """Codes `[batch, latent_size]` to expected images in [0, 1]."""
        raise NotImplementedError

    def sample(self, n, seed=0, temperature=1.0):
        """Draws images from the model.

        Args:
          n: number of images.
          seed: int; the same seed gives the same images.
          temperature: factor on the standard deviation of z0; see `Prior.distribution`.

        Returns:
          Float tensor `[n, height, width, channels]` in [0, 1].
        """
        return self.decode(self.sample_prior(n, seed, temperature))

    def sample_prior(self, n, seed=0, temperature=1.0):
        """Draws n codes from the prior, `[n, latent_size]`; see `sample`."""
        stateless_seed = tf.stack([tf.cast(seed, tf.int32), 0])
        return self.prior.sample(n, stateless_seed, temperature)

    def to_base(self, z):
        """z to z0, both `[batch, latent_size]`."""
        return self.prior.to_base(z)

    def from_base(self, z0):
        """z0 to z, both `[batch, latent_size]`."""
        return self.prior.from_base(z0)

    def log_prob(self, z):
        """log p(z) under the prior in nats, `[batch]`."""
        return self.prior.log_prob(z)
