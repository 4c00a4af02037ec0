"""Residual networks for larger images, such as the 128 x 128 faces of section 5.

The paper's own are in a supplement that is not public; these are ours.
"""

from collections.abc import Sequence

import keras

from tfp_priors.errors import UserError
from tfp_priors.networks.batch_norm import BatchNorm
from tfp_priors.networks.body import BodyDecoder
from tfp_priors.networks.body import BodyEncoder
from tfp_priors.networks.convolution import convolution
from tfp_priors.networks.dense import Dense

_WIDTHS = (32, 64, 128, 256, 512)


class Block(keras.layers.Layer):
    """x + F(x), F: twice batch norm, ReLU, conv 3x3 (He et al. 2016, pre-activation).

    If the width changes, a 1x1 convolution takes the place of x.
    """

    def __init__(self, width: int, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self._residual = keras.Sequential(
            [
                BatchNorm(),
                keras.layers.ReLU(),
                convolution(width, use_bias=False),
                BatchNorm(),
                keras.layers.ReLU(),
                convolution(width),
            ]
        )
        self._shortcut = keras.layers.Conv2D(width, 1, use_bias=False)

    def build(self, input_shape):
        self._residual.build(input_shape)
        self._widens = input_shape[-1] != self.width
        if self._widens:
            self._shortcut.build(input_shape)
        self.built = True

    def call(self, x, training=False):
        shortcut = self._shortcut(x) if self._widens else x
        return shortcut + self._residual(x, training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.width)


def halved_shape(image_shape: Sequence[int], halvings: int, owner: str):
    """The shape of images as whole numbers, if their sides can be halved so often.

    Raises:
      UserError: otherwise; `owner` is named in the message.
    """
    shape = tuple(int(n) for n in image_shape)
    factor = 2**halvings
    if len(shape) != 3 or min(shape) < 1 or shape[0] % factor or shape[1] % factor:
        raise UserError(
            f"{owner}, which halves the sides {halvings} times, expects image_shape "
            f"(height, width, channels) with height and width multiples of {factor}, "
            f"received {tuple(image_shape)}: set IMAGE_SHAPE, prepare the images at "
            "another size, or choose networks that halve them less often."
        )
    return shape


class ResidualEncoder(BodyEncoder):
    """Images to features: a residual block and a halving for each width.

    Args:
      image_shape: `(height, width, channels)` of the images.
      widths: channels of the blocks; each block's output is averaged over 2 x 2 pixels.

    Call arguments:
      images: float tensor of shape `[batch, height, width, channels]` in [0, 1].
      training: use and update batch statistics.

    Returns:
      Features `[batch, size]`, the last block's pixels in one row.
    """

    def __init__(
        self, image_shape: Sequence[int], widths: Sequence[int] = _WIDTHS, **kwargs
    ):
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.image_shape = halved_shape(
            image_shape, len(self.widths), type(self).__name__
        )
        layers = [convolution(self.widths[0])]
        for width in self.widths:
            layers += [Block(width), keras.layers.AveragePooling2D(2)]
        layers += [BatchNorm(), keras.layers.ReLU(), keras.layers.Flatten()]
        self._body = keras.Sequential(layers, name="body")

    def compute_output_shape(self, input_shape):
        factor = 2 ** len(self.widths)
        height, width, _ = self.image_shape
        return (input_shape[0], height // factor * (width // factor) * self.widths[-1])


class ResidualDecoder(BodyDecoder):
    """Codes to likelihood parameters: the encoder's mirror image.

    A dense layer makes the smallest pixels; for each width, from the last to the first,
    they are doubled by repetition and go through a residual block.

    Args:
      image_shape: `(height, width, channels)` of the images.
      widths: as the encoder's.

    Call arguments:
      z: float tensor of shape `[batch, latent_size]`.
      training: use and update batch statistics.

    Returns:
      Unbounded outputs of shape `[batch, height, width, channels]`.
    """

    def __init__(
        self, image_shape: Sequence[int], widths: Sequence[int] = _WIDTHS, **kwargs
    ):
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.image_shape = halved_shape(
            image_shape, len(self.widths), type(self).__name__
        )
        factor = 2 ** len(self.widths)
        height, width, channels = self.image_shape
        grid = (height // factor, width // factor, self.widths[-1])
        layers = [Dense(grid[0] * grid[1] * grid[2]), keras.layers.Reshape(grid)]
        for block_width in reversed(self.widths):
            layers += [keras.layers.UpSampling2D(2), Block(block_width)]
        layers += [BatchNorm(), keras.layers.ReLU(), convolution(channels)]
        self._body = keras.Sequential(layers, name="body")
