"""Divergences D: how far the code is from the prior."""

from tfp_priors.divergences.divergence import Divergence
from tfp_priors.divergences.divergence import DivergenceTerms
from tfp_priors.divergences.divergence import scale_gradient
from tfp_priors.divergences.kl import KLDivergence

__all__ = ["Divergence", "DivergenceTerms", "KLDivergence", "scale_gradient"]
