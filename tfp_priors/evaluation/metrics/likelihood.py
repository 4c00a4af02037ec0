"""Likelihood of images, and its two parts."""

import numpy as np

from tfp_priors.evaluation.metrics.metric import count_text
from tfp_priors.evaluation.metrics.metric import mean_of
from tfp_priors.evaluation.metrics.metric import metric


@metric(
    "nll{n}_iw{k}_{split}",
    "nll1k_iw100_test",
    "densities of prior and posterior",
    "n k passes of the decoder",
)
def _nll(evaluator, n, k, split):
    """Upper bound of -log p(x) in nats by importance sampling with k draws; the same
    in bits per dimension."""
    from tfp_priors.evaluation import likelihood

    images = evaluator.real_images(split, n).floats()
    terms = evaluator.subject.ask("log_terms")

    bound = likelihood.importance_weighted_bound(terms, images, k, evaluator.seed)
    bits = likelihood.bits_per_dimension(
        bound, int(np.prod(images.shape[1:])), evaluator.subject.pixel_levels
    )
    yield mean_of(-bound) | {"bits_per_dimension": float(bits.mean())}


@metric(
    "rate_distortion{n}_{split}",
    "rate_distortion10k_test",
    "densities of prior and posterior",
    "n passes of encoder and decoder",
    parts=("rate", "distortion"),
)
def _rate_distortion(evaluator, n, split):
    """Rate E[log q(z|x) - log p(z)] and distortion -E[log p(x|z)] in nats, one draw
    per image; two results."""
    from tfp_priors.evaluation import likelihood

    images = evaluator.real_images(split, n).floats()
    terms = evaluator.subject.ask("log_terms")
    parts = likelihood.rate_and_distortion(terms, images, 1, evaluator.seed)
    for name, values in parts._asdict().items():
        yield {"name": f"{name}{count_text(n)}_{split}"} | mean_of(values)
