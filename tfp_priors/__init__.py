"""Autoencoders with learned priors: Keras models, TFP priors, one objective."""

__version__ = "0.1.0"
