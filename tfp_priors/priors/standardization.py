"""Affine maps that give codes, and contexts, zero mean and unit variance."""

import math

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core import replicas
from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError
from tfp_priors.errors import check_within

tfb = tfp.bijectors

_VARIANCE_FLOOR = 1e-6

# A smaller one is no number of float32 that can be divided by.
_LEAST_VARIANCE = 1e-30


class LatentStandardization(Configured, keras.layers.Layer):
    """Running mean and variance of the codes as an exact affine bijector.

    At beta = 0 nothing holds the scale of the code (it drifted to about 7 per
    dimension on MNIST), and a flow that starts as the identity would have to learn
    that scale first. The statistics are state, not parameters: no gradient.

    Codes that are maps share the statistics of a channel.

    Args:
      decay: weight of the old statistics in each update.
    """

    #: Whether it costs more than to keep what it makes of codes at rest.
    is_costly = False
    #: Whether a prior has it: its statistics are those of one distribution of codes.
    is_taken = False

    def __init__(self, decay: float = 0.99, **kwargs):
        super().__init__(**kwargs)
        check_within(type(self).__name__, "[0, 1)", decay=decay)
        self.decay = decay

    def build(self, input_shape):
        """Args: `(None, size)`, or `(None, height, width, channels)`."""
        _, *pixels, channels = input_shape
        self._pixels, self._channels = math.prod(pixels), channels
        shape = (channels,)
        state = {"trainable": False, "aggregation": "mean", "shape": shape}
        self.mean = self.add_weight(name="mean", initializer="zeros", **state)
        self.variance = self.add_weight(name="variance", initializer="ones", **state)
        self.built = True

    def call(self, z):
        """Returns the standardised codes."""
        return self.bijector().inverse(z)

    def bijector(self) -> tfb.Bijector:
        """Maps standardised codes to codes (TFP's forward direction)."""
        mean = self._everywhere(tf.convert_to_tensor(self.mean))
        return tfb.Chain([tfb.Shift(mean), tfb.ScaleMatvecDiag(self._scale())])

    def _scale(self):
        return self._everywhere(tf.sqrt(tf.maximum(self.variance, _LEAST_VARIANCE)))

    def _everywhere(self, statistic):
        """A statistic of each channel, for each number of a code."""
        return statistic if self._pixels == 1 else tf.tile(statistic, [self._pixels])

    def fit(self, codes: np.ndarray, seed: int) -> None:
        """Sets the statistics to those of codes `[n, latent_size]`."""
        del seed
        if codes.shape[-1] % self._channels:
            raise UserError(
                f"{type(self).__name__} is of codes of {self._channels} numbers, "
                f"received {codes.shape[-1]}: give each prior one of its own."
            )
        codes = codes.reshape(-1, self._channels)
        # A sum in float32 loses codes that are far from 0; a copy in float64 is large.
        mean = codes.mean(0, np.float64)
        centred = codes - mean.astype(codes.dtype)
        rest = centred.mean(0, np.float64)
        squares = np.square(centred, out=centred).mean(0, np.float64)
        self.mean.assign(mean)
        self.variance.assign(_with_floor(squares - rest**2, mean))

    def update(self, z):
        """Moves the statistics towards those of a batch of codes.

        Args:
          z: float tensor `[batch, latent_size]`; under a strategy, one replica's
            share, and the statistics of the whole batch are used.
        """
        z = tf.reshape(z, [-1, self._channels])
        batch_mean = replicas.mean(tf.reduce_mean(z, axis=0))
        squares = tf.reduce_mean(tf.square(z - batch_mean), axis=0)
        batch_variance = tf.maximum(replicas.mean(squares), _VARIANCE_FLOOR)
        for statistic, value in (
            (self.mean, batch_mean),
            (self.variance, batch_variance),
        ):
            statistic.assign(self.decay * statistic + (1.0 - self.decay) * value)


def _with_floor(variance, mean):
    """Variances in any unit; a small one for what is constant but for rounding."""
    is_constant = variance <= np.square(4 * np.finfo(np.float32).eps * mean)
    usual = 1.0 if is_constant.all() else variance[~is_constant].mean()
    floor = np.where(is_constant, _VARIANCE_FLOOR * usual, 0.0)
    return np.maximum(variance + floor, _LEAST_VARIANCE)


class ContextStandardization(Configured, keras.layers.Layer):
    """Mean and scale of the contexts that a prior is fitted with; no map before."""

    def build(self, input_shape):
        """Args: `(None, context_size)`."""
        state = {"trainable": False, "shape": input_shape[-1:]}
        self.mean = self.add_weight(name="mean", initializer="zeros", **state)
        self.scale = self.add_weight(name="scale", initializer="ones", **state)
        self.built = True

    def call(self, context):
        return (context - self.mean) / self.scale

    def fit(self, context: np.ndarray) -> None:
        """Takes the moments of contexts `[n, context_size]`.

        Numbers that are all -1, 0 or 1, as of labels and attributes, stay as they are.
        """
        mean, scale = moments_of_context(context)
        self.mean.assign(mean)
        self.scale.assign(scale)


def moments_of_context(context: np.ndarray):
    """Means and standard deviations of the columns, 0 and 1 of labels and attributes.

    The scale of a constant is 1.
    """
    mean, scale = context.mean(0, np.float64), context.std(0, dtype=np.float64)
    is_label = np.isin(context, (-1, 0, 1)).all(0)
    mean = np.where(is_label, 0.0, mean)
    return mean, np.where(is_label | (scale == 0), 1.0, scale)
