"""The growing networks of PG-GAN (Karras et al. 2018, table 2 and section 4).

Level 0 is 4 x 4 pixels, each further level doubles them. While a level fades in,
alpha goes from 0, the level below, to 1, the level alone. Images are in [-1, 1].
"""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError
from tfp_priors.networks.dense import tensor_of

_LEAK = 0.2
_EPSILON = 1e-8
_SMALLEST = 4  # Pixels along a side at level 0.


class _Equalized(keras.layers.Layer):
    """A kernel of N(0, 1), scaled by gain / sqrt(fan_in) at each use, and a bias.

    Adam moves all weights at one rate, whatever their scale: so the scale that He et
    al. 2015 give to the initial weights is a constant beside them (section 4.1).

    Args:
      units: features of the outputs.
      gain: sqrt(2) before a leaky ReLU, 1 before nothing.
    """

    def __init__(self, units: int, gain: float = math.sqrt(2.0), **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.gain = gain

    def _add_weights(self, kernel_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=kernel_shape,
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.units,), initializer="zeros"
        )
        self.scale = self.gain / math.sqrt(math.prod(kernel_shape[:-1]))
        self.built = True

    def _scaled_kernel(self):
        return self.scale * tensor_of(self.kernel)


class EqualizedDense(_Equalized):
    """A dense layer with an equalised learning rate: `[batch, n]` to `[batch, units]`.

    See `_Equalized` for the arguments.
    """

    def build(self, input_shape):
        self._add_weights((input_shape[-1], self.units))

    def call(self, x):
        return tf.matmul(x, self._scaled_kernel()) + tensor_of(self.bias)


class EqualizedConv2D(_Equalized):
    """A convolution with an equalised learning rate, stride 1 and "same" padding.

    It can double or halve the image in the same operation, with 16 products per pixel
    of the smaller image instead of 36: nearest neighbours before, or the mean of 2 x 2
    pixels after the convolution are a wider kernel.

    Args:
      units: channels of the outputs.
      kernel_size: odd, and 3 with `resize`.
      resize: None; "up": the image is doubled first; "down": it is halved after.
      gain: see `_Equalized`.

    Call arguments:
      x: `[batch, height, width, channels]`.

    Returns:
      `[batch, height, width, units]`, with twice or half the height and width.
    """

    def __init__(
        self,
        units: int,
        kernel_size: int = 3,
        resize: str | None = None,
        gain: float = math.sqrt(2.0),
        **kwargs,
    ):
        super().__init__(units, gain, **kwargs)
        self.kernel_size = kernel_size
        self.resize = resize

    def build(self, input_shape):
        size = (self.kernel_size, self.kernel_size)
        self._add_weights((*size, input_shape[-1], self.units))

    def call(self, x):
        kernel = self._scaled_kernel()
        if self.resize == "up":
            # Each small pixel reaches 4 x 4 large ones, mirrored: a transpose.
            kernel = tf.transpose(_widened(kernel[::-1, ::-1]), [0, 1, 3, 2])
            batch, height, width, _ = x.shape
            batch = tf.shape(x)[0] if batch is None else batch
            shape = [batch, 2 * height, 2 * width, self.units]
            outputs = tf.nn.conv2d_transpose(x, kernel, shape, 2, "SAME")
        elif self.resize == "down":
            outputs = tf.nn.conv2d(x, 0.25 * _widened(kernel), 2, "SAME")
        else:
            outputs = tf.nn.conv2d(x, kernel, 1, "SAME")
        return tf.nn.bias_add(outputs, tensor_of(self.bias))


class _GeneratorBlock(keras.layers.Layer):
    """A level's two convolutions, the first of which doubles the image.

    At level 0 it is a dense layer to 4 x 4 pixels.
    """

    def __init__(self, channels, is_first, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.channels = channels
        self.is_first = is_first
        if is_first:
            pixels = _SMALLEST**2
            # As the authors' code: less than He's sqrt(2).
            self._enter = EqualizedDense(channels * pixels, gain=math.sqrt(2.0) / 4.0)
        else:
            self._enter = EqualizedConv2D(channels, resize="up")
        self._stay = EqualizedConv2D(channels)

    def build(self, input_shape):
        self._enter.build(input_shape)
        self._stay.build((None, None, None, self.channels))
        self.built = True

    def call(self, x):
        x = self._enter(x)
        if self.is_first:
            x = tf.reshape(x, [-1, _SMALLEST, _SMALLEST, self.channels])
        x = pixel_norm(_activated(x))
        return pixel_norm(_activated(self._stay(x)))


class ProgressiveGenerator(Configured, keras.layers.Layer):
    """Latents to images of a level.

    A latent is normalised to the sphere of radius sqrt(latent_size). Per level two
    convolutions 3x3 with leaky ReLU 0.2 and pixel normalisation, the first after
    doubling the image; a linear 1x1 convolution to the image's channels.

    Args:
      image_shape: `(height, width, channels)` at the last level, height and width equal
        and a power of two.
      latent_size: dimensions of a latent.
      channel_base: level n has channel_base / 2^(n + 1) channels,
      channel_max: but no more than these.

    Call arguments:
      z: float tensor `[batch, latent_size]`.
      level: int from 0 to `levels - 1`; pass it by keyword.
      alpha: float scalar in [0, 1], a tensor or a number. At 0 the image is exactly
        that of the level below, each pixel fourfold; at 1 exactly the level's own.

    Returns:
      float32 `[batch, 4 * 2^level, 4 * 2^level, channels]`, unbounded.

    Raises:
      UserError: if image_shape is another one.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_size: int,
        channel_base: int = 8192,
        channel_max: int = 512,
        **kwargs,
    ):
        # alpha and the latents keep their precision; the layers within cast.
        super().__init__(autocast=False, **kwargs)
        self.image_shape = _check_image_shape(image_shape)
        self.latent_size = latent_size
        self.channel_base = channel_base
        self.channel_max = channel_max
        self.levels = _levels(self.image_shape)
        channels = [
            _channels(level, channel_base, channel_max) for level in range(self.levels)
        ]
        self._blocks = [
            _GeneratorBlock(channels[level], level == 0, name=f"level{level}")
            for level in range(self.levels)
        ]
        self._to_image = [
            EqualizedConv2D(self.image_shape[-1], 1, gain=1.0, name=f"to_image{level}")
            for level in range(self.levels)
        ]

    def build(self, input_shape=None):
        shape = (None, self.latent_size)
        for block, to_image in zip(self._blocks, self._to_image, strict=True):
            block.build(shape)
            shape = (None, None, None, block.channels)
            to_image.build(shape)
        self.built = True

    def call(self, z, level, alpha=1.0):
        x = pixel_norm(z)
        below = None
        for n in range(level + 1):
            below, x = x, self._blocks[n](x)
        images = _float(self._to_image[level](x))
        if level == 0:
            return images
        return fade(upsample(_float(self._to_image[level - 1](below))), images, alpha)

    def full_size(self, images):
        """Images of any level with each pixel repeated to `image_shape`."""
        return upsample(images, self.image_shape[0] // images.shape[1])


class _DiscriminatorBlock(keras.layers.Layer):
    """A level's two convolutions, the second of which halves the image."""

    def __init__(self, channels, channels_below, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.channels = channels
        self._stay = EqualizedConv2D(channels)
        self._leave = EqualizedConv2D(channels_below, resize="down")

    def build(self, input_shape):
        self._stay.build(input_shape)
        self._leave.build((None, None, None, self.channels))
        self.built = True

    def call(self, x):
        return _activated(self._leave(_activated(self._stay(x))))


class _DiscriminatorHead(keras.layers.Layer):
    """4 x 4 pixels of features, and how much a group varies in them, to a number."""

    def __init__(self, channels, features, group_size, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.channels = channels
        self.features = features
        self.group_size = group_size
        self._conv = EqualizedConv2D(channels)
        self._dense = EqualizedDense(features)
        self._score = EqualizedDense(1, gain=1.0)

    def build(self, input_shape):
        self._conv.build((None, None, None, self.channels + 1))
        self._dense.build((None, _SMALLEST**2 * self.channels))
        self._score.build((None, self.features))
        self.built = True

    def call(self, x):
        x = _activated(self._conv(with_minibatch_stddev(x, self.group_size)))
        x = tf.reshape(x, [-1, _SMALLEST**2 * self.channels])
        return _float(self._score(_activated(self._dense(x)))[:, 0])


class ProgressiveDiscriminator(Configured, keras.layers.Layer):
    """Images of a level to a number each, high on real ones: the generator's mirror.

    A 1x1 convolution with leaky ReLU from the image's channels; per level two
    convolutions 3x3 with leaky ReLU 0.2, the second before halving the image; at 4 x 4
    pixels the minibatch standard deviation as a further channel, a convolution and two
    dense layers.

    Args:
      image_shape: see `ProgressiveGenerator`.
      channel_base: see `ProgressiveGenerator`.
      channel_max: see `ProgressiveGenerator`.
      group_size: images whose standard deviation is taken together, neighbours in the
        batch; the smaller one of it and the batch.

    Call arguments:
      images: float tensor `[batch, 4 * 2^level, 4 * 2^level, channels]` in [-1, 1].
      level: int from 0 to `levels - 1`; pass it by keyword.
      alpha: float scalar in [0, 1]. At 0 the numbers are exactly those of the level
        below for the halved images, at 1 exactly the level's own.

    Returns:
      float32 `[batch]`.

    Raises:
      UserError: if image_shape is another one, or the batch no multiple of the groups.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        channel_base: int = 8192,
        channel_max: int = 512,
        group_size: int = 4,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.image_shape = _check_image_shape(image_shape)
        self.channel_base = channel_base
        self.channel_max = channel_max
        self.group_size = group_size
        self.levels = _levels(self.image_shape)
        channels = [
            _channels(level, channel_base, channel_max) for level in range(self.levels)
        ]
        self._from_image = [
            EqualizedConv2D(channels[level], 1, name=f"from_image{level}")
            for level in range(self.levels)
        ]
        self._blocks = [
            _DiscriminatorBlock(channels[n], channels[n - 1], name=f"level{n}")
            for n in range(1, self.levels)
        ]
        features = _channels(-1, channel_base, channel_max)
        self._head = _DiscriminatorHead(channels[0], features, group_size, name="head")

    def build(self, input_shape=None):
        for from_image in self._from_image:
            from_image.build((None, None, None, self.image_shape[-1]))
        for block in self._blocks:
            block.build((None, None, None, block.channels))
        self._head.build((None, _SMALLEST, _SMALLEST, self._head.channels))
        self.built = True

    def call(self, images, level, alpha=1.0):
        x = _activated(self._from_image[level](images))
        for n in range(level, 0, -1):
            x = self._blocks[n - 1](x)
            if n == level:
                below = self._from_image[level - 1](average_pool(images))
                x = fade(_float(_activated(below)), _float(x), alpha)
        return self._head(x)

    def at_level(self, images, level: int, alpha=1.0):
        """Real images as it is to see them at a level.

        They fade as the generator's do, so that alpha does not tell them apart.

        Args:
          images: `[batch, *image_shape]`.
          level: see the call's arguments.
          alpha: see the call's arguments.

        Returns:
          `[batch, 4 * 2^level, 4 * 2^level, channels]`.
        """
        images = average_pool(images, 2 ** (self.levels - 1 - level))
        if level == 0:
            return images
        return fade(upsample(average_pool(images)), images, alpha)


def fade(below, own, alpha):
    """(1 - alpha) * below + alpha * own: exactly the one or the other at the ends."""
    return (1.0 - alpha) * below + alpha * own


def upsample(images, factor: int = 2):
    """Each pixel of `[batch, height, width, channels]` repeated, along both axes."""
    if factor == 1:
        return images
    _, height, width, channels = images.shape
    tiled = tf.tile(images[:, :, None, :, None], [1, 1, factor, 1, factor, 1])
    return tf.reshape(tiled, [-1, factor * height, factor * width, channels])


def average_pool(images, factor: int = 2):
    """Means over squares of pixels of `[batch, height, width, channels]`."""
    return images if factor == 1 else tf.nn.avg_pool2d(images, factor, factor, "VALID")


def pixel_norm(x):
    """x / sqrt(mean over the last axis of x^2 + 1e-8): features of unit square each.

    Computed in float32, whatever x is.
    """
    values = _float(x)
    square = tf.reduce_mean(tf.square(values), axis=-1, keepdims=True)
    return tf.cast(values * tf.math.rsqrt(square + _EPSILON), x.dtype)


def with_minibatch_stddev(x, group_size: int):
    """Features with a further channel, how much the images of a group differ.

    The standard deviation over the group of each feature at each pixel, and of these
    the mean: one number per group (section 3). Groups are neighbours, so that they are
    the same if a batch is divided between replicas at a group's end.

    Args:
      x: `[batch, height, width, channels]`.
      group_size: images per group.

    Returns:
      `[batch, height, width, channels + 1]`.

    Raises:
      UserError: if the batch is larger than a group, and no multiple of it.
    """
    batch, height, width, channels = x.shape
    if batch is None:
        group_size = tf.minimum(group_size, tf.shape(x)[0])
    else:
        group_size = min(group_size, batch)
        if batch % group_size:
            nearest = batch // group_size * group_size
            raise UserError(
                f"ProgressiveDiscriminator compares images in groups of {group_size}, "
                f"received {batch}: choose {nearest} or {nearest + group_size} per "
                "replica and part of a step, by train.batch_size."
            )
    groups = tf.reshape(_float(x), [-1, group_size, height, width, channels])
    deviation = tf.sqrt(tf.math.reduce_variance(groups, axis=1) + _EPSILON)
    statistic = tf.reduce_mean(deviation, axis=[1, 2, 3])  # [groups]
    statistic = tf.reshape(statistic, [-1, 1, 1, 1, 1])
    channel = tf.tile(statistic, [1, group_size, height, width, 1])
    channel = tf.reshape(channel, [-1, height, width, 1])
    return tf.concat([x, tf.cast(channel, x.dtype)], axis=-1)


def _activated(x):
    return tf.nn.leaky_relu(x, _LEAK)


def _float(x):
    return tf.cast(x, tf.float32)


def _widened(kernel):
    """A 3 x 3 kernel under the sum over 2 x 2 neighbours: `[4, 4, ...]`."""
    kernel = tf.pad(kernel, [[1, 1], [1, 1], [0, 0], [0, 0]])
    rows = kernel[1:] + kernel[:-1]
    return rows[:, 1:] + rows[:, :-1]


def _levels(image_shape):
    return int(math.log2(image_shape[0] // _SMALLEST)) + 1


def _channels(level, base, most):
    return max(1, min(base // 2 ** (level + 1), most))


def _check_image_shape(image_shape):
    shape = tuple(int(n) for n in image_shape)
    side = shape[0] if len(shape) == 3 else 0
    if shape[1:2] != (side,) or side < 8 or side & (side - 1) or shape[-1] < 1:
        raise UserError(
            "Progressive networks expect image_shape (size, size, channels) with size "
            f"a power of two and at least 8, received {tuple(image_shape)}. Set "
            "IMAGE_SHAPE, or prepare the images at another size."
        )
    return shape
