"""Models: encoder, decoder, prior and divergence under one training step."""

from tfp_priors.learning.code_learner import POSTERIOR
from tfp_priors.learning.code_learner import CodeLearner
from tfp_priors.learning.code_model import CodeModel
from tfp_priors.learning.grouped_model import GroupedModel
from tfp_priors.learning.prior_model import PriorModel
from tfp_priors.models.attach import attach
from tfp_priors.models.classifier import Classifier
from tfp_priors.models.generative_model import GenerativeModel
from tfp_priors.models.keypoint_regressor import KeypointRegressor
from tfp_priors.models.latent_variable_model import LatentVariableModel
from tfp_priors.models.predictor import Predictor
from tfp_priors.models.progressive_gan import ProgressiveGAN
