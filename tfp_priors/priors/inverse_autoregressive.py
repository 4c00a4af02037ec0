"""The inverse autoregressive flow (Kingma et al. 2016) as a prior."""

import tensorflow_probability as tfp

from tfp_priors.priors.autoregressive import AutoregressivePrior

tfb = tfp.bijectors


class InverseAutoregressivePrior(AutoregressivePrior):
    """z as an autoregressive function of z0.

    A draw takes one pass through each conditioner, the density of a given code
    `latent_size` passes: quick to sample, slow to train. See `AutoregressivePrior`
    for the arguments.
    """

    def _flow(self, masked):
        return tfb.Invert(masked)
