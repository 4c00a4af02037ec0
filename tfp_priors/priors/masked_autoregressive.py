"""The masked autoregressive flow (Papamakarios et al. 2017) as a prior."""

from tfp_priors.priors.autoregressive import AutoregressivePrior


class MaskedAutoregressivePrior(AutoregressivePrior):
    """p(z) = prod_i p(z_i | z_1 .. z_i-1), the prior of Chen et al. 2017.

    A density takes one pass through each conditioner, a draw `latent_size` passes:
    quick to train, slow to sample. See `AutoregressivePrior` for the arguments.
    """

    def _flow(self, masked):
        return masked
