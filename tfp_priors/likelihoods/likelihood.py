"""The base class of likelihoods."""

import keras

from tfp_priors.core.configured import Configured


class Likelihood(Configured, keras.layers.Layer):
    """p(x|z) given the decoder's outputs.

    A subclass defines `log_prob` and `mean`.
    """

    #: Whether `log_prob` is that of a distribution of images, whose nats compare.
    is_density = True
    #: Whether `mean` is the sigmoid of the outputs.
    squashes = False
    #: 256 if `log_prob` is a density of pixels in [0, 1], 1 if it is a probability.
    pixel_levels = 1

    def build(self, input_shape=None):
        self.built = True

    def networks(self) -> list[keras.layers.Layer]:
        """The layers that may compute in less than float32."""
        return []

    def call(self, outputs):
        """Returns the expected images, as `mean` does."""
        return self.mean(outputs)

    def log_prob(self, images, outputs):
        """log p(x|z) in nats, summed over pixels and channels.

        Args:
          images: float tensor `[batch, height, width, channels]` in [0, 1].
          outputs: the decoder's unbounded outputs, of the same shape.

        Returns:
          Float tensor `[batch]`.
        """
        raise NotImplementedError

    def mean(self, outputs):
        """E[x|z] in [0, 1], of the outputs' shape."""
        raise NotImplementedError
