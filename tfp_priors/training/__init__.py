"""Training: schedules, strategies, checkpoints, callbacks and the trainer."""

from tfp_priors.training.adam import Adam
from tfp_priors.training.checkpoints import Checkpoints
from tfp_priors.training.checkpoints import checkpoints_of
from tfp_priors.training.early_stopping import EarlyStopping
from tfp_priors.training.post_hoc import PostHoc
from tfp_priors.training.same_pictures import told_pictures
from tfp_priors.training.schedules import CyclicalAnnealing
from tfp_priors.training.schedules import LinearAnnealing
from tfp_priors.training.schedules import share
from tfp_priors.training.strategy import create_strategy
from tfp_priors.training.strategy import task_of_environment
from tfp_priors.training.trainer import Trainer
from tfp_priors.training.trainer import TrainingResult
