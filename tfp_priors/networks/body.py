"""Encoders and decoders that are one body: layers in a row."""

import keras

from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError


class BodyEncoder(Configured, keras.layers.Layer):
    """Images to features.

    A subclass sets `image_shape` and, to a `keras.Sequential`, `_body`.

    Call arguments:
      images: float tensor of shape `[batch, height, width, channels]` in [0, 1].
      training: use and update batch statistics.
    """

    def build(self, input_shape=None):
        self._body.build((None, *self.image_shape))
        self.built = True

    def call(self, images, training=False):
        return self._body(images, training=training)


class BodyDecoder(Configured, keras.layers.Layer):
    """Codes to likelihood parameters; see `BodyEncoder`.

    Call arguments:
      z: float tensor of shape `[batch, *code_shape]`.
      training: use and update batch statistics.

    Returns:
      Unbounded outputs of shape `[batch, height, width, channels]`.
    """

    def build(self, input_shape):
        self._check_codes(input_shape)
        self._body.build((None, *input_shape[1:]))
        self.built = True

    def _check_codes(self, input_shape):
        """Raises: UserError: if codes of this shape are not the decoder's."""
        if len(input_shape) != 2:
            raise UserError(
                f"{type(self).__name__} expects codes that are vectors, received maps "
                f"{tuple(input_shape[1:])}: take networks.MapDecoder."
            )

    def call(self, z, training=False):
        return self._body(z, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.image_shape)
