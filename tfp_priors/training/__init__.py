"""Training: schedules, strategies, checkpoints, callbacks and the trainer."""

from tfp_priors.training.checkpoints import Checkpoints
from tfp_priors.training.schedules import LinearAnnealing
from tfp_priors.training.strategy import create_strategy
from tfp_priors.training.trainer import TrainingResult
from tfp_priors.training.trainer import train

__all__ = [
    "Checkpoints",
    "LinearAnnealing",
    "TrainingResult",
    "create_strategy",
    "train",
]
