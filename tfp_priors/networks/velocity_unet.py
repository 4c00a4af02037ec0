"""The velocity of codes that are maps: a small U-Net, and its divergence."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError
from tfp_priors.errors import check_widths
from tfp_priors.networks.convolution import convolution
from tfp_priors.networks.velocity import TIME_FEATURES
from tfp_priors.networks.velocity import time_features

# Numbers in a code up to which the divergence is exact.
_EXACT = 16

# Of the signs by which it is estimated otherwise, outside of training.
_SEED = (0, 0)


class VelocityUNet(Configured, keras.layers.Layer):
    """A velocity v(y, t) of codes that are maps (after Ho et al. 2020).

    A level of the U-Net for each width, with half the sides of the one before: residual
    blocks of two convolutions, whose hidden units time and context scale and shift, on
    the way down and on the way up, a skip connection between them, and one more block
    at the bottom. A learned map tells the places apart.

    The divergence of codes of up to 16 numbers is exact, by a backward pass for each;
    of others it is Hutchinson's estimate (1989), e' (dv / dy) e with random signs e,
    which takes one pass and has no bias.

    Args:
      map_shape: `(height, width, channels)` of y and v.
      widths: channels of each level.

    Call arguments:
      y: `[batch, size]`, maps in rows.
      conditions: see `conditions`.
      dropout: None, or a function of the hidden units of a block and its number.

    Returns:
      v, `[batch, size]`; 0 for a new network.
    """

    def __init__(
        self, map_shape: Sequence[int], widths: Sequence[int] = (64, 128), **kwargs
    ):
        super().__init__(**kwargs)
        name = type(self).__name__
        self.map_shape = tuple(map_shape)
        self.widths = check_widths(name, widths)
        height, width, channels = self.map_shape
        factor = 2 ** (len(self.widths) - 1)
        if height % factor or width % factor:
            raise UserError(
                f"{name} of {len(self.widths)} widths expects maps whose height and "
                f"width are multiples of {factor}, received {self.map_shape}: give "
                "fewer widths, one for each halving and one more."
            )
        self.size = math.prod(self.map_shape)
        self.exact = self.size <= _EXACT
        downwards = [*self.widths, self.widths[-1]]
        upwards = [*reversed(self.widths)]
        self._blocks = [_Block(width) for width in [*downwards, *upwards]]
        self._first = convolution(self.widths[0])
        self._down = [convolution(width, strides=2) for width in self.widths[1:]]
        # Four pixels for each, by depth to space.
        self._up = [convolution(4 * width, 1) for width in upwards[1:]]
        self._skips = [convolution(width, 1) for width in upwards]
        self._last = convolution(channels, kernel_initializer="zeros")
        embedded = 2 * self.widths[0]
        self._embedding = keras.layers.Dense(embedded, activation="swish")
        self._modulation = keras.layers.Dense(
            2 * sum(block.width for block in self._blocks), kernel_initializer="zeros"
        )

    def build(self, input_shape):
        """Args: `(None, size + context_size)`."""
        context_size = input_shape[-1] - self.size
        self._embedding.build((None, TIME_FEATURES + context_size))
        self._modulation.build((None, self._embedding.units))
        height, width, channels = self.map_shape
        any_size = (None, None, None)
        self._first.build((*any_size, channels))
        self._places = self.add_weight(
            name="places",
            shape=(height, width, self.widths[0]),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
        )
        for block in self._blocks:
            block.build((*any_size, block.width))
        for down, before in zip(self._down, self.widths, strict=False):
            down.build((*any_size, before))
        for up, before in zip(self._up, reversed(self.widths), strict=False):
            up.build((*any_size, before))
        for skip in self._skips:
            skip.build((*any_size, 2 * skip.filters))
        self._last.build((*any_size, self.widths[0]))
        self.built = True

    def conditions(self, t, context=None):
        """What time and context do to the hidden units; see `VelocityMLP`."""
        modulation = self._modulation(self._embedding(time_features(t, context)))
        widths = [block.width for block in self._blocks]
        parts = tf.split(modulation[:, None, None], [2 * w for w in widths], axis=-1)
        return [tf.split(part, 2, axis=-1) for part in parts]

    def call(self, y, conditions, dropout=None):
        h = self._first(tf.reshape(y, [-1, *self.map_shape])) + self._places
        levels, numbered = len(self.widths), iter(range(len(self._blocks)))

        def block(h):
            i = next(numbered)
            drop = dropout and (lambda units: dropout(units, i))
            return self._blocks[i](h, condition=conditions[i], dropout=drop)

        skips = []
        for level in range(levels):
            h = block(self._down[level - 1](h) if level else h)
            skips.append(h)
        h = block(h)
        for i in range(levels):
            h = tf.nn.depth_to_space(self._up[i - 1](h), 2) if i else h
            h = block(self._skips[i](tf.concat([h, skips.pop()], axis=-1)))
        return tf.reshape(self._last(keras.activations.swish(h)), [-1, self.size])

    def constants(self, n, seed=None):
        """Directions for `with_divergence` at n codes, `[k, n, size]`.

        Random ones are a function of the seed and the row; without a seed they are the
        same in every call. A network that learns by them must not know them.
        """
        if self.exact:
            unit_vectors = tf.eye(self.size)[:, None]
            return tf.broadcast_to(unit_vectors, [self.size, n, self.size])

        return replicas.signs(n, [self.size], _SEED if seed is None else seed)[None]

    def with_divergence(self, y, conditions, directions):
        """v, and the trace of dv / dy or its estimate, `[batch]`.

        Args:
          y: `[batch, size]`.
          conditions: see `conditions`.
          directions: of `constants`.
        """
        times = directions.shape[0]
        conditions = [
            [x if x.shape[0] == 1 else tf.tile(x, [times, 1, 1, 1]) for x in pair]
            for pair in conditions
        ]
        flat = tf.reshape(directions, [-1, self.size])
        with tf.GradientTape() as tape:
            everyones = tf.tile(y, [times, 1])
            tape.watch(everyones)
            v = self(everyones, conditions)
        along = tape.gradient(v, everyones, output_gradients=flat)
        by_direction = tf.reshape(tf.reduce_sum(along * flat, axis=-1), [times, -1])
        return v[: tf.shape(y)[0]], tf.reduce_sum(by_direction, axis=0)


class _Block(keras.layers.Layer):
    """h + F(h): swish, conv 3x3, scaled and shifted, swish, conv 3x3; F starts at 0."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self._first = convolution(width)
        self._second = convolution(width, kernel_initializer="zeros")

    def build(self, input_shape):
        self._first.build(input_shape)
        self._second.build(input_shape)
        self.built = True

    def call(self, h, condition, dropout=None):
        scale, shift = condition
        units = self._first(keras.activations.swish(h))
        units = keras.activations.swish(units * (1 + scale) + shift)
        units = units if dropout is None else dropout(units)
        return h + self._second(units)
