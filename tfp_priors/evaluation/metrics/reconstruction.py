"""How far reconstructions are from their images."""

import numpy as np

from tfp_priors.evaluation.metrics.metric import mean_of
from tfp_priors.evaluation.metrics.metric import metric


@metric(
    "reconstruction_error{n}_{split}",
    "reconstruction_error10k_test",
    "reconstructions",
    "n passes of encoder and decoder",
)
def _reconstruction_error(evaluator, n, split):
    """Mean squared error of a pixel in [0, 1], of the decoded means of q(z|x)."""
    real = evaluator.real_images(split, n)
    reconstructions = evaluator.reconstructions(real)
    if reconstructions is None:
        evaluator.subject.ask("reconstruct")
    squares = [
        np.square((a.astype(np.float64) - b) / 255).mean(axis=(1, 2, 3))
        for a, b in zip(real, reconstructions, strict=True)
    ]
    yield mean_of(np.concatenate(squares))
