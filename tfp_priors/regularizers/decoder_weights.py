"""The decoder's weights, the regulariser of RAE-L2 (Ghosh et al. 2020)."""

import tensorflow as tf

from tfp_priors.regularizers.regularizer import Regularizer


class DecoderWeights(Regularizer):
    """The sum of the squares of the decoder's trainable weights."""

    name = "decoder_weights"

    def term(self, model, z, seed, condition=None):
        weights = model.decoder.trainable_variables
        return tf.add_n([tf.reduce_sum(tf.square(weight)) for weight in weights])
