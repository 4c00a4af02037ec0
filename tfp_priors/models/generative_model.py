"""A model that draws images: codes of a prior, decoded."""

import tensorflow as tf

from tfp_priors.learning.prior_model import PriorModel


class GenerativeModel(PriorModel):
    """What is common to models with a prior and a decoder.

    A subclass has an attribute `prior`, a `Prior`, and defines `decode`.
    """

    has_decoder = True

    def decode(self, z, training=False, condition=None):
        """Codes `[batch, *code_shape]` to expected images in [0, 1]."""
        raise NotImplementedError

    def sample(self, n, seed=0, temperature=1.0, condition=None, guidance=1.0):
        """Draws images from the model.

        Args:
          n: number of images.
          seed: int; the same seed gives the same images.
          temperature: factor on the standard deviation of z0; see `Prior.distribution`.
          condition: of a conditional model, one for each image, `[n, ...]`.
          guidance: see `Prior.guided`.

        Returns:
          Float tensor `[n, height, width, channels]` in [0, 1].
        """
        z = self.sample_prior(n, seed, temperature, condition, guidance)
        if condition is None:
            return self.decode(z)
        return self.decode(z, condition=condition)

    def sample_of_condition(self, condition, n, seed=0, temperature=1.0, guidance=1.0):
        """Draws n images for one condition, `[...]`; see `sample`."""
        everyones = tf.repeat(tf.convert_to_tensor(condition)[None], n, axis=0)
        return self.sample(n, seed, temperature, everyones, guidance)
