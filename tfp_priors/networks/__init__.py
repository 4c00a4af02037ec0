"""Networks and their parts: plain Keras layers that know no losses."""

from tfp_priors.networks.conv_features import ConvFeatures
from tfp_priors.networks.infogan import InfoGANDecoder
from tfp_priors.networks.infogan import InfoGANEncoder
from tfp_priors.networks.made import MADE
from tfp_priors.networks.mlp import MLP
from tfp_priors.networks.spectral_normalization import SpectralNormalization

__all__ = [
    "ConvFeatures",
    "InfoGANDecoder",
    "InfoGANEncoder",
    "MADE",
    "MLP",
    "SpectralNormalization",
]
