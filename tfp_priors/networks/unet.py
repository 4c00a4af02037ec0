"""The networks of the Variational U-Net (Esser et al. 2018), section 6 of the paper.

The code z is a map that holds two pictures of features: 4 x 4 pixels, then 8 x 8 of as
many channels, whose squares of 2 x 2 are pixels of the map. The authors' network has
weight normalisation and dropout; here each residual branch starts at zero instead.
"""

import itertools
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfp_priors.core.code_shape import LatentSize
from tfp_priors.core.code_shape import checked_code_shape
from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError
from tfp_priors.networks.convolution import convolution
from tfp_priors.networks.people import part_crops
from tfp_priors.networks.people import stickman

#: Side in pixels of the code, and of the first of its two pictures.
SIDE = 4


# Channels of a code for each of its pictures': one of the first, four of the second.
_EACH = 5


def channels_of(latent_size: LatentSize, owner: str) -> int:
    """The channels of each of the two pictures in a code.

    Raises:
      UserError: if it is no map of square pictures.
    """
    shape = checked_code_shape(latent_size, owner)
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] % _EACH:
        raise UserError(
            f"{owner} expects a latent size (side, side, channels) with a multiple of "
            f"{_EACH} channels, received {latent_size!r}. Set LATENT_SIZE."
        )
    return shape[2] // _EACH


def split(z) -> list:
    """A code `[batch, side, side, ...]` as pictures, the second of twice the side."""
    channels = z.shape[-1] // _EACH
    first, second = tf.split(z, [channels, 4 * channels], axis=-1)
    return [first, tf.nn.depth_to_space(second, 2)]


def join(pictures: Sequence):
    """The inverse of `split`."""
    first, second = pictures
    return tf.concat([first, tf.nn.space_to_depth(second, 2)], axis=-1)


class _Residual(keras.layers.Layer):
    """h + F(h, side): one convolution of both, after ELU; F starts at zero.

    Args:
      width: channels of h.
    """

    def __init__(self, width: int, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self._narrow = convolution(width, 1)
        self._branch = convolution(width, kernel_initializer="zeros")

    def build(self, input_shape):
        # A skip connection, or a code, may come from the side.
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        self._has_side = len(shapes) == 2
        channels = self.width
        if self._has_side:
            self._narrow.build(shapes[1])
            channels *= 2
        self._branch.build((*shapes[0][:-1], channels))
        self.built = True

    def call(self, inputs):
        h, *side = inputs if self._has_side else [inputs]
        x = keras.ops.elu(h)
        if side:
            x = tf.concat([x, self._narrow(keras.ops.elu(side[0]))], axis=-1)
        return h + self._branch(x)


def _widths(size: int, width: int, max_width: int, owner: str) -> list[int]:
    """Channels at each side from `size` down to that of the code's first picture."""
    levels = (size // SIDE).bit_length()
    if levels < 2 or size != SIDE * 2 ** (levels - 1):
        raise UserError(
            f"{owner} expects a side of {2 * SIDE}, {4 * SIDE}, {8 * SIDE} or another "
            f"power of two in pixels, received {size}."
        )
    return [min(width * 2**i, max_width) for i in range(levels)]


def _check_side(side, owner):
    if side != SIDE:
        raise UserError(
            f"{owner} expects a code of {SIDE} x {SIDE} pixels, received one of {side} "
            f"x {side}: set LATENT_SIZE."
        )


class AppearanceEncoder(Configured, keras.layers.Layer):
    """Images and poses to the code's mean: the pose is taken out, what is left is kept.

    The network sees eight crops of the person's parts, each turned upright.

    Args:
      image_shape: `(height, width, 3)` of the images.
      latent_size: of the code, `(4, 4, channels)`, a multiple of 5 channels.
      crop_size: side of a crop in pixels, a power of two.
      width: channels at the crop's side; each halving of the side doubles them.
      max_width: most channels.

    Call arguments:
      inputs: images `[batch, height, width, 3]` in [0, 1], keypoints `[batch, 15, 2]`.

    Returns:
      `[batch, 4, 4, channels]`.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_size: LatentSize,
        crop_size: int = 64,
        width: int = 64,
        max_width: int = 128,
        **kwargs,
    ):
        # Keypoints would lose their digits; the convolutions cast by themselves.
        super().__init__(autocast=False, **kwargs)
        self.image_shape = tuple(image_shape)
        self.latent_size = latent_size
        self.crop_size = crop_size
        self.width = width
        self.max_width = max_width
        self._widths = _widths(
            crop_size, width, max_width, "AppearanceEncoder.crop_size"
        )
        channels = channels_of(latent_size, "AppearanceEncoder")
        _check_side(latent_size[0], "AppearanceEncoder")
        self._first = convolution(self._widths[0])
        self._blocks = [_Residual(width) for width in self._widths]
        self._down = [convolution(width, strides=2) for width in self._widths[1:]]
        # Small, as the other encoders' heads.
        head = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.02)}
        self._heads = [convolution(channels, 1, **head) for _ in range(2)]

    def build(self, input_shape=None):
        self._first.build((None, None, None, 24))
        for block, width in zip(self._blocks, self._widths, strict=True):
            block.build((None, None, None, width))
        for down, (width, _) in zip(
            self._down, itertools.pairwise(self._widths), strict=True
        ):
            down.build((None, None, None, width))
        for head, width in zip(self._heads, reversed(self._widths[-2:]), strict=True):
            head.build((None, None, None, width))
        self.built = True

    def call(self, inputs, training=False):
        del training  # Nothing differs.
        images, keypoints = inputs
        h = self._first(part_crops(images, keypoints, self.crop_size))
        pictures = []
        for i, block in enumerate(self._blocks):
            h = block(self._down[i - 1](h) if i else h)
            pictures.append(h)
        coarse_first = pictures[:-3:-1]
        return join(
            [
                head(keras.ops.elu(picture))
                for head, picture in zip(self._heads, coarse_first, strict=True)
            ]
        )

    def compute_output_shape(self, input_shape):
        return (None, *self.latent_size)


class UNetDecoder(Configured, keras.layers.Layer):
    """Codes and poses to images: a U-Net on the stickman, with the code at its bottom.

    The way down sees the pose alone; its pictures reach the way up by skip connections,
    so the code need not say where anything is. The code's pictures enter at 4 x 4 and
    at 8 x 8 pixels.

    Args:
      image_shape: `(height, width, 3)` of the images.
      width: channels at the image's side; each halving of the side doubles them.
      max_width: most channels.

    Call arguments:
      inputs: codes `[batch, 4, 4, channels]`, keypoints `[batch, 15, 2]`.

    Returns:
      Unbounded outputs `[batch, height, width, 3]`.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        width: int = 32,
        max_width: int = 128,
        **kwargs,
    ):
        # As the encoder.
        super().__init__(autocast=False, **kwargs)
        self.image_shape = tuple(image_shape)
        height, image_width, channels = self.image_shape
        if height != image_width or channels != 3:
            raise UserError(
                f"UNetDecoder expects square images of 3 channels, received "
                f"{self.image_shape}. Set IMAGE_SHAPE."
            )
        self.width = width
        self.max_width = max_width
        self._widths = _widths(height, width, max_width, "UNetDecoder's image")
        self._first = convolution(self._widths[0])
        self._down_blocks = [_Residual(width) for width in self._widths]
        self._down = [convolution(width, strides=2) for width in self._widths[1:]]
        self._codes = [_Residual(width) for width in reversed(self._widths[-2:])]
        self._up_blocks = [_Residual(width) for width in reversed(self._widths)]
        # Four pixels for each, by depth to space.
        self._up = [convolution(4 * width) for width in reversed(self._widths[:-1])]
        self._last = convolution(3)

    def build(self, input_shape):
        (_, *code_shape), _ = input_shape
        channels = channels_of(code_shape, "UNetDecoder")
        _check_side(code_shape[0], "UNetDecoder")
        any_size = (None, None, None)
        self._first.build((*any_size, 3))
        for block, width in zip(self._down_blocks, self._widths, strict=True):
            block.build((*any_size, width))
        for down, width in zip(self._down, self._widths, strict=False):
            down.build((*any_size, width))
        upwards = self._widths[::-1]
        for block, width in zip(self._codes, upwards, strict=False):
            block.build([(*any_size, width), (*any_size, channels)])
        for block, width in zip(self._up_blocks, upwards, strict=True):
            block.build([(*any_size, width), (*any_size, width)])
        for up, width in zip(self._up, upwards, strict=False):
            up.build((*any_size, width))
        self._last.build((*any_size, self._widths[0]))
        self.built = True

    def call(self, inputs, training=False):
        del training  # Nothing differs.
        z, keypoints = inputs
        codes = split(z)
        h = self._first(stickman(keypoints, self.image_shape[0]))
        skips = []
        for i, block in enumerate(self._down_blocks):
            h = block(self._down[i - 1](h) if i else h)
            skips.append(h)
        for i, (block, skip) in enumerate(
            zip(self._up_blocks, reversed(skips), strict=True)
        ):
            if i:
                h = tf.nn.depth_to_space(self._up[i - 1](keras.ops.elu(h)), 2)
            if i < len(codes):
                h = self._codes[i]([h, codes[i]])
            h = block([h, skip])
        return self._last(keras.ops.elu(h))

    def compute_output_shape(self, input_shape):
        return (None, *self.image_shape)
