"""Spectral normalisation (Miyato et al. 2018) of a layer with one kernel."""

import keras
import tensorflow as tf


class SpectralNormalization(keras.layers.Wrapper):
    """Divides the kernel of a layer by its largest singular value.

    The value is found by one step of power iteration per call in training, and the
    gradient passes through the division. Keras' layer of this name overwrites the
    kernel during the call instead: a projection, without that gradient.

    Args:
      layer: a layer with a `kernel`, such as Dense, Conv2D or Conv2DTranspose. The
        kernel counts as a matrix whose columns are its last axis.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs):
        super().__init__(layer, **kwargs)

    def build(self, input_shape):
        super().build(input_shape)
        self._direction = self.add_weight(
            name="direction",
            shape=(self.layer.kernel.shape[-1],),
            initializer="random_normal",
            trainable=False,
            aggregation="mean",
        )

    def call(self, inputs, training=False):
        kernel = tf.convert_to_tensor(self.layer.kernel.value)
        matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
        stopped = tf.stop_gradient(matrix)
        left = _normalized(tf.linalg.matvec(stopped, self._direction))
        right = _normalized(tf.linalg.matvec(stopped, left, transpose_a=True))
        if training:
            self._direction.assign(right)
        norm = tf.tensordot(left, tf.linalg.matvec(matrix, right), 1)
        values = [
            (
                variable,
                kernel / norm if variable is self.layer.kernel else variable.value,
            )
            for variable in self.layer.variables
        ]
        with keras.StatelessScope(state_mapping=values):
            return self.layer(inputs)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)


def _normalized(vector):
    return vector / (tf.norm(vector) + 1e-12)
