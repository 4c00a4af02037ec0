"""How often a classifier is right."""

import numpy as np

from tfp_priors.evaluation.metrics.metric import metric


@metric(
    "accuracy_{split}",
    "accuracy_test",
    "the run of a classifier",
    "a pass over the split",
)
def _accuracy(evaluator, split):
    """Share of right decisions of a classifier; for attributes the mean over them."""
    right = evaluator.decisions(split)
    yield {
        "value": float(right.mean()),
        "standard_error": float(right.mean(axis=-1).std() / np.sqrt(len(right)))
        if right.ndim > 1
        else float(right.std() / np.sqrt(len(right))),
        "images": len(right),
    }
