"""The divergence that a prior learns by if none is named."""

from tfp_priors.divergences.divergence import Divergence
from tfp_priors.divergences.flow_matching import FlowMatchingDivergence
from tfp_priors.divergences.kl import KLDivergence
from tfp_priors.divergences.mmd import MMDDivergence


def usual_divergence(prior) -> Divergence:
    """Flow matching for a velocity, else KL, maximum likelihood, else MMD."""
    if prior.has_velocity:
        return FlowMatchingDivergence()
    return KLDivergence() if prior.has_nll else MMDDivergence()
