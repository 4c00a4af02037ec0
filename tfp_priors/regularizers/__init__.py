"""Regularizers: further terms of the autoencoder's loss."""

from tfp_priors.regularizers.code_norm import CodeNorm
from tfp_priors.regularizers.decoder_gradient import DecoderGradient
from tfp_priors.regularizers.decoder_weights import DecoderWeights
from tfp_priors.regularizers.latent_reconstruction import LatentReconstruction
from tfp_priors.regularizers.regularizer import Regularizer
