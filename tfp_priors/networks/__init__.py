"""Networks and their parts: plain Keras layers that know no losses."""

from tfp_priors.core.conditioner import Conditioner
from tfp_priors.networks.conditional import ConditionalDecoder
from tfp_priors.networks.conditional import ConditionalEncoder
from tfp_priors.networks.conv_activations import ConvActivations
from tfp_priors.networks.conv_features import ConvFeatures
from tfp_priors.networks.gated import GatedDecoder
from tfp_priors.networks.gated import GatedEncoder
from tfp_priors.networks.infogan import InfoGANDecoder
from tfp_priors.networks.infogan import InfoGANEncoder
from tfp_priors.networks.labels import AttributeContext
from tfp_priors.networks.labels import LabelContext
from tfp_priors.networks.made import MADE
from tfp_priors.networks.maps import MapDecoder
from tfp_priors.networks.maps import MapEncoder
from tfp_priors.networks.mlp import MLP
from tfp_priors.networks.people import PoseContext
from tfp_priors.networks.progressive import ProgressiveDiscriminator
from tfp_priors.networks.progressive import ProgressiveGenerator
from tfp_priors.networks.residual import ResidualDecoder
from tfp_priors.networks.residual import ResidualEncoder
from tfp_priors.networks.spectral_normalization import SpectralNormalization
from tfp_priors.networks.unet import AppearanceEncoder
from tfp_priors.networks.unet import UNetDecoder
from tfp_priors.networks.velocity import VelocityMLP
from tfp_priors.networks.velocity_unet import VelocityUNet
from tfp_priors.networks.vgg19 import VGG19Features
