"""Encoders, decoders and conditioners: plain Keras layers that know no losses."""

from tfp_priors.networks.infogan import InfoGANDecoder
from tfp_priors.networks.infogan import InfoGANEncoder
from tfp_priors.networks.mlp import MLP

__all__ = ["InfoGANDecoder", "InfoGANEncoder", "MLP"]
