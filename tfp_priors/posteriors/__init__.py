"""Posteriors q(z|x): heads that turn encoder features into distributions of codes."""

from tfp_priors.posteriors.deterministic import DeterministicPosterior
from tfp_priors.posteriors.inverse_autoregressive import InverseAutoregressivePosterior
from tfp_priors.posteriors.normal import FixedScaleNormalPosterior
from tfp_priors.posteriors.normal import NormalPosterior
from tfp_priors.posteriors.posterior import ACTIVE_VARIANCE
from tfp_priors.posteriors.posterior import Posterior
