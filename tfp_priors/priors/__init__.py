"""Priors p(z): fixed or learned distributions of codes."""

from tfp_priors.priors.flow import FlowPrior
from tfp_priors.priors.flow_matching import FlowMatchingPrior
from tfp_priors.priors.gaussian_mixture import GaussianMixturePrior
from tfp_priors.priors.generator import GeneratorPrior
from tfp_priors.priors.inverse_autoregressive import InverseAutoregressivePrior
from tfp_priors.priors.masked_autoregressive import MaskedAutoregressivePrior
from tfp_priors.priors.mixture_standardization import MixtureStandardization
from tfp_priors.priors.prior import Prior
from tfp_priors.priors.real_nvp import RealNVPPrior
from tfp_priors.priors.second_stage import SecondStageVAEPrior
from tfp_priors.priors.spline import SplinePrior
from tfp_priors.priors.standard_normal import StandardNormalPrior
from tfp_priors.priors.unet import UNetPrior
from tfp_priors.priors.vamp import VampPrior
