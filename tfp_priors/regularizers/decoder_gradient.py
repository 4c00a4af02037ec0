"""The decoder's gradient, the regulariser of RAE-GP (Ghosh et al. 2020)."""

import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.regularizers.regularizer import Regularizer


class DecoderGradient(Regularizer):
    """|d D(z) / d z|^2, the squared Frobenius norm of the decoder's Jacobian.

    Estimated without bias at one random direction v in the space of images, by
    |J^T v|^2 with v of independent signs (Hutchinson 1989): one backward pass
    instead of one per pixel.
    """

    name = "decoder_gradient"

    def term(self, model, z, seed, condition=None):
        with tf.GradientTape() as tape:
            tape.watch(z)
            images = model.decode(z, training=False, condition=condition)
        signs = replicas.signs(replicas.size(images), images.shape[1:], seed)
        signs = tf.cast(signs, images.dtype)
        gradient = tape.gradient(images, z, output_gradients=signs)
        return tf.reduce_sum(tf.square(gradient), axis=-1)
