"""Networks whose code is a map of features, as those of VQ-VAE.

Strided convolutions and residual blocks without a dense layer (van den Oord et al.
2017); the authors' have no batch normalisation.
"""

from collections.abc import Sequence

import keras

from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.networks.batch_norm import BatchNorm
from tfp_priors.networks.body import BodyDecoder
from tfp_priors.networks.body import BodyEncoder
from tfp_priors.networks.convolution import convolution
from tfp_priors.networks.residual import Block
from tfp_priors.networks.residual import halved_shape

_LEAK = 0.2


class _MapNetwork:
    """The constructor of encoder and decoder; a subclass defines `_in_order`."""

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
        self._body = keras.Sequential(self._in_order(), name="body")

    def _in_order(self) -> list[keras.layers.Layer]:
        """The layers of the body."""
        raise NotImplementedError

    @property
    def _widths(self):
        """Channels after each halving of the side: the last is `width`."""
        return [max(1, self.width // 2**i) for i in reversed(range(self.halvings))]

    @property
    def _sides(self):
        """Height and width of the code."""
        height, width, _ = self.image_shape
        return height // 2**self.halvings, width // 2**self.halvings


class MapEncoder(_MapNetwork, BodyEncoder):
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

    def _in_order(self):
        layers = []
        for i, channels in enumerate(self._widths):
            layers.append(convolution(channels, 4, strides=2, use_bias=not i))
            layers += [BatchNorm()] if i else []
            layers.append(keras.layers.LeakyReLU(_LEAK))
        layers += [Block(self.width) for _ in range(self.blocks)]
        return [*layers, BatchNorm(), keras.layers.ReLU()]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._sides, self.width)


class MapDecoder(_MapNetwork, BodyDecoder):
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

    def _in_order(self):
        layers = [convolution(self.width)]
        layers += [Block(self.width) for _ in range(self.blocks)]
        settings = {"padding": "same", "kernel_initializer": "he_normal"}
        for channels in [*reversed(self._widths[:-1]), self.image_shape[-1]]:
            layers += [BatchNorm(), keras.layers.ReLU()]
            layers.append(
                keras.layers.Conv2DTranspose(channels, 4, strides=2, **settings)
            )
        return layers

    def _check_codes(self, input_shape):
        if len(input_shape) != 4 or tuple(input_shape[1:3]) != self._sides:
            height, width = self._sides
            raise UserError(
                f"MapDecoder expects codes that are maps ({height}, {width}, "
                f"channels), received {tuple(input_shape[1:])}: set LATENT_SIZE."
            )
