"""Priors p(z): fixed or learned distributions of codes."""

from tfp_priors.priors.prior import Prior
from tfp_priors.priors.real_nvp import RealNVPPrior
from tfp_priors.priors.standard_normal import StandardNormalPrior

__all__ = ["Prior", "RealNVPPrior", "StandardNormalPrior"]
