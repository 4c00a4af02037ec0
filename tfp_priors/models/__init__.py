"""Models: encoder, decoder, prior and divergence under one training step."""

from tfp_priors.models.classifier import Classifier
from tfp_priors.models.grouped_model import GroupedModel
from tfp_priors.models.latent_variable_model import POSTERIOR
from tfp_priors.models.latent_variable_model import LatentVariableModel

__all__ = ["POSTERIOR", "Classifier", "GroupedModel", "LatentVariableModel"]
