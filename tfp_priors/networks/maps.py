"""Networks whose code is a map of features, as those of VQ-VAE.

Strided convolutions and residual blocks without a dense layer (van den Oord et al.
2017); the authors' have no batch normalisation.
"""

from collections.abc import Sequence

import keras

from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.networks.batch_norm import BatchNorm
from tfp_priors.networks.residual import Block
from tfp_priors.networks.residual import halved_shape

_LEAK = 0.2


def _widths(width, halvings):
    """Channels after each halving of the side: the last is `width`."""
    return [max(1, width // 2**i) for i in reversed(range(halvings))]


class MapEncoder(Configured, keras.layers.Layer):
    """Images to maps of features: strided convolutions, then residual blocks.

    For each halving conv 4x4/2, batch norm but for the first, leaky ReLU; the last has
    `width` channels, each one before half of the next. A posterior's head follows.

    Args:
      image_shape: `(height, width, channels)` of the images.
      width: channels of the features.
      halvings: of height and width; the code's are these.
      blocks: number of residual blocks.

    Call arguments:
      images: float tensor of shape `[batch, height, width, channels]` in [0, 1].
      training: use and update batch statistics.

    Returns:
      Features of shape `[batch, height / 2^halvings, width / 2^halvings, width]`.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        width: int = 128,
        halvings: int = 2,
        blocks: int = 2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        name = type(self).__name__
        check_counts(name, width=width, halvings=halvings, blocks=blocks)
        self.image_shape = halved_shape(image_shape, halvings, name)
        self.width = width
        self.halvings = halvings
        self.blocks = blocks
        layers = []
        for i, channels in enumerate(_widths(width, halvings)):
            layers.append(
                keras.layers.Conv2D(
                    channels,
                    4,
                    strides=2,
                    padding="same",
                    use_bias=not i,
                    kernel_initializer="he_normal",
                )
            )
            layers += [BatchNorm()] if i else []
            layers.append(keras.layers.LeakyReLU(_LEAK))
        layers += [Block(width) for _ in range(blocks)]
        layers += [BatchNorm(), keras.layers.ReLU()]
        self._body = keras.Sequential(layers, name="body")

    def build(self, input_shape=None):
        self._body.build((None, *self.image_shape))
        self.built = True

    def call(self, images, training=False):
        return self._body(images, training=training)

    def compute_output_shape(self, input_shape):
        height, width, _ = self.image_shape
        factor = 2**self.halvings
        return (input_shape[0], height // factor, width // factor, self.width)


class MapDecoder(Configured, keras.layers.Layer):
    """Codes that are maps to likelihood parameters: the encoder's mirror image.

    conv 3x3 and residual blocks at the code's height and width; for each doubling of
    these batch norm, ReLU, deconv 4x4/2.

    Args:
      image_shape: `(height, width, channels)` of the images.
      width: as the encoder's.
      halvings: as the encoder's.
      blocks: as the encoder's.

    Call arguments:
      z: float tensor of shape `[batch, *code_shape]`.
      training: use and update batch statistics.

    Returns:
      Unbounded outputs of shape `[batch, height, width, channels]`.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        width: int = 128,
        halvings: int = 2,
        blocks: int = 2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        name = type(self).__name__
        check_counts(name, width=width, halvings=halvings, blocks=blocks)
        self.image_shape = halved_shape(image_shape, halvings, name)
        self.width = width
        self.halvings = halvings
        self.blocks = blocks
        settings = {"padding": "same", "kernel_initializer": "he_normal"}
        layers = [keras.layers.Conv2D(width, 3, **settings)]
        layers += [Block(width) for _ in range(blocks)]
        channels = [*reversed(_widths(width, halvings)[:-1]), self.image_shape[-1]]
        for doubled in channels:
            layers += [BatchNorm(), keras.layers.ReLU()]
            layers.append(
                keras.layers.Conv2DTranspose(doubled, 4, strides=2, **settings)
            )
        self._body = keras.Sequential(layers, name="body")

    def build(self, input_shape):
        height, width, _ = self.image_shape
        factor = 2**self.halvings
        expected = (height // factor, width // factor)
        if len(input_shape) != 4 or tuple(input_shape[1:3]) != expected:
            raise UserError(
                "MapDecoder expects codes that are maps "
                f"({expected[0]}, {expected[1]}, channels), received "
                f"{tuple(input_shape[1:])}: set LATENT_SIZE."
            )
        self._body.build((None, *input_shape[1:]))
        self.built = True

    def call(self, z, training=False):
        return self._body(z, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.image_shape)
