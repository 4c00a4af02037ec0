"""The masked autoregressive flow (Papamakarios et al. 2017) as a prior."""

import tensorflow as tf

from tfp_priors.priors.affine import bounded
from tfp_priors.priors.autoregressive import AutoregressivePrior


class MaskedAutoregressivePrior(AutoregressivePrior):
    """p(z) = prod_i p(z_i | z_1 .. z_i-1), the prior of Chen et al. 2017.

    A density takes one pass through each conditioner, a draw `latent_size` passes:
    quick to train, slow to sample. See `AutoregressivePrior` for the arguments.
    """

    def _flow(self, masked):
        return masked

    def _log_prob(self, z, context):
        # TFP asks each conditioner twice, for the inverse and for its determinant;
        # XLA alone merges the two.
        z, log_det = self.standardization(z)
        for i, conditioner in enumerate(self._conditioners):
            if i:
                z = tf.reverse(z, [-1])
            shift, s = conditioner(z, context, dropout=self._dropout(i))
            log_scale = bounded(s, self.log_scale_bound)
            z = (z - shift) * tf.exp(-log_scale)
            log_det -= tf.reduce_sum(log_scale, axis=-1)
        return self.base_distribution(context).log_prob(z) + log_det
