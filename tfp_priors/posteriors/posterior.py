"""The base class of posteriors."""

import math

import keras
import tensorflow as tf

from tfp_priors.core.code_shape import LatentSize
from tfp_priors.core.code_shape import OfCodes
from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError

#: A latent unit is active if the variance of its posterior mean over the data exceeds
#: this (Burda et al. 2016), for a prior of unit scale.
ACTIVE_VARIANCE = 1e-2


class Posterior(OfCodes, Configured, keras.layers.Layer):
    """A head on the encoder: features to a distribution q(z|x) of codes.

    A subclass defines `distribution`. The head is a dense layer; of a code that is a
    map it acts at each pixel of the features, whose height and width are the map's.

    Args:
      latent_size: dimensions of z; where `takes_maps`, also `(height, width, channels)`
        of a code that is a map.
      project: False: the encoder's features are the parameters already.
    """

    #: Whether log q(z|x) is finite, as the KL divergence needs.
    has_density = True
    instead_of_maps = "take NormalPosterior or another one"

    def __init__(self, latent_size: LatentSize, project: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.set_latent_size(latent_size)
        self.project = project
        self._head = None
        if project:
            self._head = keras.layers.Dense(
                self._parameters_size() // self._pixels,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
                name="head",
            )

    def _parameters_size(self) -> int:
        """Parameters of q(z|x)."""
        return self.latent_size

    @property
    def _pixels(self):
        return math.prod(self.map_shape[:2]) if self.map_shape else 1

    def build(self, input_shape):
        """Args: shape of the features.

        Raises:
          UserError: if they do not suit the code.
        """
        name, shape = type(self).__name__, tuple(input_shape[1:])
        if self.map_shape and (len(shape) != 3 or shape[:2] != self.map_shape[:2]):
            height, width, _ = self.map_shape
            raise UserError(
                f"{name} of maps {self.map_shape} expects features of shape ({height}, "
                f"{width}, channels), received {shape}: take another encoder, as "
                "networks.MapEncoder, or another LATENT_SIZE."
            )
        size = shape[-1] if self.map_shape else _product(shape)
        if size is None:
            raise UserError(
                f"{name} expects features of known size, received {shape}: give the "
                "encoder an Input of known shape."
            )
        if self._head is not None:
            self._head.build((None, size))
        elif size != self._parameters_size() // self._pixels:
            raise UserError(
                f"{name} without projection expects "
                f"{self._parameters_size() // self._pixels} features, received {size}: "
                "set project = True, or the encoder's latent_size."
            )
        self.built = True

    def call(self, features):
        """Returns the parameters of q(z|x), one row per image."""
        if self.map_shape is None and len(features.shape) > 2:
            features = tf.reshape(features, [-1, math.prod(features.shape[1:])])
        parameters = features if self._head is None else self._head(features)
        return self._in_rows(parameters) if self.map_shape else parameters

    def _in_rows(self, parameters):
        """Maps of parameters in rows: all means before all scales."""
        height, width, channels = self.map_shape
        kinds = self._parameters_size() // self.latent_size
        shape = [-1, height * width, kinds, channels]
        by_kind = tf.transpose(tf.reshape(parameters, shape), [0, 2, 1, 3])
        return tf.reshape(by_kind, [-1, kinds * self.latent_size])

    def distribution(self, parameters):
        """The TFP distribution with event shape `[latent_size]`."""
        raise NotImplementedError

    def code(self, parameters):
        """The code of an image, `[batch, latent_size]`: the mean of q(z|x)."""
        return self.distribution(parameters).mean()


def _product(shape):
    return None if None in shape else math.prod(shape)
