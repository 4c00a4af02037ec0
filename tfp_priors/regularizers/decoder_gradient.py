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
        bits = replicas.rows(
            lambda n: tf.random.stateless_uniform(
                [n, *images.shape[1:]], seed, 0, 2, tf.int32
            ),
            replicas.size(images),
        )
        signs = tf.cast(2 * bits - 1, images.dtype)
        gradient = tape.gradient(images, z, output_gradients=signs)
        return tf.reduce_sum(tf.square(gradient), axis=-1)
