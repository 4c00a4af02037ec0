"""The divergence that a prior learns by if none is named."""

from tfp_priors.divergences.divergence import Divergence
from tfp_priors.divergences.kl import KLDivergence
from tfp_priors.divergences.mmd import MMDDivergence


def usual_divergence(prior) -> Divergence:
    """KL, which is maximum likelihood, or MMD for a prior that has none."""
    return KLDivergence() if prior.has_nll else MMDDivergence()
