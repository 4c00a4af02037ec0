"""The velocity of codes in a continuous flow, and its divergence at little cost."""

import math

import keras
import tensorflow as tf

from tfp_priors.core.configured import Configured
from tfp_priors.errors import check_widths

#: Numbers that tell the time: sines and cosines of multiples of an angle.
TIME_FEATURES = 16


def time_features(t, context=None):
    """What a velocity is told of the time, with the context, if any, beside it.

    Args:
      t: times in [0, 1], `[batch, 1]` or `[1, 1]`.
      context: `[batch, context_size]`, or None.

    Returns:
      `[batch, TIME_FEATURES + context_size]`, or `[1, TIME_FEATURES]`.
    """
    angles = 0.5 * math.pi * t * tf.range(1.0, TIME_FEATURES // 2 + 1.0)
    features = tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)
    if context is None:
        return features
    rows = [tf.shape(context)[0], TIME_FEATURES]
    return tf.concat([tf.broadcast_to(features, rows), context], axis=-1)


class VelocityMLP(Configured, keras.layers.Layer):
    """A velocity v(y, t) of two hidden layers, whose divergence is exact and cheap.

    Time and context scale and shift the hidden units; from y to v leads the chain of
    layers alone. So dv / dy is W3 D2 W2 D1 W1, D1 and D2 being the slopes d1 and d2 of
    the layers as diagonals, and its trace is d2' M d1, where M is W2 times (W1 W3)'
    entry by entry: the work of a hidden layer, where other networks need a pass for
    each dimension.

    Args:
      size: dimensions of y and v.
      units: hidden units of each layer.

    Call arguments:
      y: `[batch, size]`.
      conditions: see `conditions`.
      dropout: None, or a function of the units of a hidden layer and its number.

    Returns:
      v, `[batch, size]`; 0 for a new network.
    """

    def __init__(self, size: int, units: int = 512, **kwargs):
        super().__init__(**kwargs)
        (units,) = check_widths(type(self).__name__, [units])
        self.size = size
        self.units = units
        self._embedded = max(1, units // 4)
        self._first = keras.layers.Dense(units, kernel_initializer="he_normal")
        self._second = keras.layers.Dense(units, kernel_initializer="he_normal")
        self._last = keras.layers.Dense(
            size, use_bias=False, kernel_initializer="zeros"
        )
        self._embedding = keras.layers.Dense(self._embedded, activation="swish")
        self._modulation = keras.layers.Dense(4 * units, kernel_initializer="zeros")

    def build(self, input_shape):
        """Args: `(None, size + context_size)`."""
        context_size = input_shape[-1] - self.size
        self._first.build((None, self.size))
        self._second.build((None, self.units))
        self._last.build((None, self.units))
        self._embedding.build((None, TIME_FEATURES + context_size))
        self._modulation.build((None, self._embedded))
        self.built = True

    def conditions(self, t, context=None):
        """What time and context do to the hidden units.

        Args:
          t: times in [0, 1], `[batch, 1]` or `[1, 1]`.
          context: `[batch, context_size]`, or None.
        """
        modulation = self._modulation(self._embedding(time_features(t, context)))
        return tf.split(modulation, 4, axis=-1)

    def call(self, y, conditions, dropout=None):
        scale1, shift1, scale2, shift2 = conditions
        units = keras.activations.swish(_modulated(self._first, y, scale1, shift1))
        units = units if dropout is None else dropout(units, 0)
        units = keras.activations.swish(_modulated(self._second, units, scale2, shift2))
        units = units if dropout is None else dropout(units, 1)
        return self._last(units)

    def constants(self, n, seed=None):
        """M above, `[units, units]`, for `with_divergence` at n codes."""
        del n, seed
        around = tf.matmul(self._last.kernel, self._first.kernel)
        return self._second.kernel * tf.transpose(around)

    def with_divergence(self, y, conditions, trace_kernel):
        """v, and the trace of dv / dy, `[batch]`."""
        scale1, shift1, scale2, shift2 = conditions
        units, slope1 = _swish(_modulated(self._first, y, scale1, shift1))
        units, slope2 = _swish(_modulated(self._second, units, scale2, shift2))
        slope1, slope2 = slope1 * (1 + scale1), slope2 * (1 + scale2)
        divergence = tf.reduce_sum(tf.matmul(slope1, trace_kernel) * slope2, axis=-1)
        return self._last(units), divergence


def _modulated(layer, x, scale, shift):
    """layer(x) (1 + scale) + shift.

    If all rows share the condition, as of a solver without context, the kernel takes
    the scale: `[units, units]` numbers to pass over in place of twice `[batch, units]`.
    """
    if scale.shape[0] != 1:
        return layer(x) * (1 + scale) + shift
    bias = layer.bias * (1 + scale[0]) + shift[0]
    return tf.nn.bias_add(tf.matmul(x, layer.kernel * (1 + scale)), bias)


def _swish(x):
    """swish(x) and its derivative."""
    sigmoid = tf.sigmoid(x)
    y = x * sigmoid
    return y, sigmoid + y * (1 - sigmoid)
