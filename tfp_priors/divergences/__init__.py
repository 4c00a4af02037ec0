"""Divergences D: how far the code is from the prior."""

from tfp_priors.divergences.adversarial import AdversarialDivergence
from tfp_priors.divergences.adversarial_losses import HingeLoss
from tfp_priors.divergences.adversarial_losses import NonSaturatingLoss
from tfp_priors.divergences.adversarial_losses import WassersteinLoss
from tfp_priors.divergences.divergence import CriticTerms
from tfp_priors.divergences.divergence import Divergence
from tfp_priors.divergences.divergence import DivergenceTerms
from tfp_priors.divergences.flow_matching import FlowMatchingDivergence
from tfp_priors.divergences.kernels import GaussianKernel
from tfp_priors.divergences.kernels import InverseMultiquadricKernel
from tfp_priors.divergences.kl import KLDivergence
from tfp_priors.divergences.mmd import MMDDivergence
from tfp_priors.divergences.usual import usual_divergence
