"""The base model that owns the training step."""

from tfp_priors.models.latent_variable_model import LatentVariableModel

__all__ = ["LatentVariableModel"]
