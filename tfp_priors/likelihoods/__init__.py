"""Likelihoods p(x|z): what a decoder's outputs mean."""

from tfp_priors.likelihoods.bernoulli import BernoulliLikelihood
from tfp_priors.likelihoods.likelihood import Likelihood
from tfp_priors.likelihoods.normal import NormalLikelihood
from tfp_priors.likelihoods.perceptual import PerceptualLikelihood
