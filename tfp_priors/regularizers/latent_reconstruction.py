"""The latent reconstruction term of Zhu et al. 2017 (BicycleGAN)."""

import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.gradients import scaled_weights
from tfp_priors.regularizers.regularizer import Regularizer


class LatentReconstruction(Regularizer):
    """|E(D(z)) - z|_1 for draws z of the prior: the decoder must show the code.

    As in the paper's source, the decoder alone learns from it; the encoder, which
    could hide the code in invisible detail, and the prior are held fixed.
    """

    name = "latent_reconstruction"

    def term(self, model, z, seed, condition=None):
        context = model.context(condition)
        draws = model.prior.sample(replicas.size(z), seed, context=context)
        draws = tf.reshape(tf.stop_gradient(draws), [-1, model.latent_size])
        images = model.decode(draws, training=False, condition=condition)
        with scaled_weights([model.encoder, model.posterior], 0.0):
            codes = model.encode(images, condition)
        codes = tf.reshape(codes, [-1, model.latent_size])
        return tf.reduce_sum(tf.abs(codes - draws), axis=-1)
