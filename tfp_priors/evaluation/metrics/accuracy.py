"""How often a classifier is right."""

import numpy as np

from tfp_priors.evaluation.metrics.metric import mean_of
from tfp_priors.evaluation.metrics.metric import metric


@metric(
    "accuracy_{split}",
    "accuracy_test",
    "the run of a classifier",
    "a pass over the split",
)
def _accuracy(evaluator, split):
    """Share of right decisions of a classifier; for attributes the mean over them."""
    correct = evaluator.subject.ask("correct")
    right = np.asarray(correct(*evaluator.predictions(split)))
    yield mean_of(right.reshape(len(right), -1).mean(axis=1))
