"""The fixed prior of the VAE."""

from tfp_priors.priors.flow import FlowPrior


class StandardNormalPrior(FlowPrior):
    """p(z) = N(0, I): nothing is learned, unless there is a context.

    With `standardize=True` it is the normal with the codes' running mean and
    variance per dimension.
    """

    takes_maps = True
