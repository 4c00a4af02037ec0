"""Networks of images and codes that see a condition beside them."""

import keras
import tensorflow as tf

from tfp_priors.core.conditioner import Conditioner
from tfp_priors.core.configured import Configured
from tfp_priors.core.image_shape import image_shape_of
from tfp_priors.errors import UserError


def beside(x, context):
    """x with the context in further channels, all pixels alike.

    Args:
      x: `[batch, size]`, or `[batch, height, width, channels]`.
      context: None, or `[batch, context_size]`.
    """
    if context is None:
        return x
    context = tf.cast(context, x.dtype)
    if len(x.shape) > 2:
        shape = tf.concat([tf.shape(x)[:-1], [context.shape[-1]]], axis=0)
        context = tf.broadcast_to(context[:, None, None], shape)
    return tf.concat([x, context], axis=-1)


class ConditionalEncoder(Configured, keras.layers.Layer):
    """An encoder whose images have the context in further channels, all pixels alike.

    Args:
      encoder: of images with `context_size` more channels.
      conditioner: makes the context.

    Call arguments:
      inputs: images `[batch, height, width, channels]` and conditions.
    """

    def __init__(self, encoder: keras.layers.Layer, conditioner: Conditioner, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.conditioner = conditioner
        *sides, channels = self._inner_shape = image_shape_of(encoder)
        if channels <= conditioner.context_size:
            raise UserError(
                f"Expected an encoder of images with {conditioner.context_size} more "
                f"channels, for the condition, received one of {channels} in all."
            )
        self.image_shape = (*sides, channels - conditioner.context_size)

    def build(self, input_shape=None):
        if not self.encoder.built:
            self.encoder.build((None, *self._inner_shape))
        self.built = True

    def call(self, inputs, training=False):
        images, condition = inputs
        inputs = beside(images, self.conditioner(condition))
        return self.encoder(inputs, training=training)

    def compute_output_shape(self, input_shape):
        rows = input_shape[0][0]
        return self.encoder.compute_output_shape((rows, *self._inner_shape))


class ConditionalDecoder(Configured, keras.layers.Layer):
    """A decoder whose codes have the context beside them; a map's at each pixel.

    Args:
      decoder: layer of codes of any width.
      conditioner: makes the context.

    Call arguments:
      inputs: codes `[batch, *code_shape]` and conditions.
    """

    def __init__(self, decoder: keras.layers.Layer, conditioner: Conditioner, **kwargs):
        super().__init__(**kwargs)
        self.decoder = decoder
        self.conditioner = conditioner

    def _shape(self, input_shape):
        *rows, channels = input_shape[0]
        return (*rows, channels + self.conditioner.context_size)

    def build(self, input_shape):
        self.decoder.build(self._shape(input_shape))
        self.built = True

    def call(self, inputs, training=False):
        z, condition = inputs
        inputs = beside(z, self.conditioner(condition))
        return self.decoder(inputs, training=training)

    def compute_output_shape(self, input_shape):
        return self.decoder.compute_output_shape(self._shape(input_shape))
