"""The norm of the code, which bounds the code space of RAEs (Ghosh et al. 2020)."""

import tensorflow as tf

from tfp_priors.regularizers.regularizer import Regularizer


class CodeNorm(Regularizer):
    """|z|^2 / 2, up to a constant -log N(z; 0, I)."""

    name = "code_norm"

    def term(self, model, z, seed, condition=None):
        return 0.5 * tf.reduce_sum(tf.square(z), axis=-1)
