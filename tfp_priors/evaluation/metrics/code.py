"""Whether the prior is the distribution of the codes."""

import numpy as np

from tfp_priors.evaluation.metrics.metric import mean_of
from tfp_priors.evaluation.metrics.metric import metric


@metric(
    "active_units_{split}", "active_units_test", "an encoder", "a pass of the encoder"
)
def _active_units(evaluator, split):
    """Latent dimensions whose posterior mean varies by more than 0.01 (variance)."""
    from tfp_priors.evaluation import likelihood

    codes = evaluator.mean_codes(split)
    yield {"value": likelihood.active_units(codes), "images": len(codes)}


@metric(
    "two_sample_accuracy_{classifier}_{split}",
    "two_sample_accuracy_mlp_test",
    "an encoder and a prior",
    "a pass of the encoder, a small classifier",
)
def _two_sample(evaluator, classifier, split):
    """Accuracy of a classifier told to separate codes of images, one draw of q(z|x)
    each, from draws of the prior; 0.5 is a perfect match. Given conditions, it sees
    them beside the codes."""
    from tfp_priors.latent_space import latent_match

    codes, draws = evaluator.codes_and_draws(split)
    accuracy = latent_match.two_sample_accuracy(
        codes, draws, classifier, evaluator.seed
    )
    error = np.sqrt(accuracy * (1 - accuracy) / (2 * (len(codes) - len(codes) // 2)))
    yield {"value": accuracy, "standard_error": float(error), "codes": len(codes)}


@metric("mmd_{split}", "mmd_test", "an encoder and a prior", "n^2 distances of codes")
def _mmd(evaluator, split):
    """Unbiased squared MMD between codes of images and draws of the prior, Gaussian
    kernels about the median distance."""
    from tfp_priors.latent_space import latent_match

    codes = evaluator.codes(split)
    estimate = latent_match.mmd(codes, evaluator.prior_codes(len(codes))["z"])
    yield estimate._asdict() | {"codes": len(codes)}


@metric(
    "sliced_wasserstein_{split}",
    "sliced_wasserstein_test",
    "an encoder and a prior",
    "64 sorts of the codes",
)
def _sliced_wasserstein(evaluator, split):
    """1-Wasserstein distance between codes and draws of the prior along 64 random
    directions, in the code's units; beside it over the code's mean standard
    deviation."""
    from tfp_priors.latent_space import latent_match

    codes = evaluator.codes(split)
    distance = latent_match.sliced_wasserstein(
        codes, evaluator.prior_codes(len(codes))["z"], seed=evaluator.seed
    )
    scale = float(codes.std(axis=0).mean())
    relative = distance / scale if scale > 0 else None
    yield {"value": distance, "relative": relative, "codes": len(codes)}


@metric(
    "prior_nll_{split}",
    "prior_nll_test",
    "an encoder and a prior with a density",
    "a pass of the encoder",
)
def _prior_nll(evaluator, split):
    """-E[log p(z)] in nats of codes, one draw of q(z|x) per image; it depends on the
    code's scale, so compare splits of one model and not models."""
    nll = evaluator.prior_nll(split)
    yield mean_of(nll) | {"codes": len(nll)}


@metric(
    "prior_overfitting",
    "prior_overfitting",
    "an encoder and a prior with a density",
    "a pass of the encoder over train and test",
)
def _prior_overfitting(evaluator):
    """Nats by which the prior's NLL of test codes exceeds that of training codes: 0 if
    it fits what it has not seen as well."""
    yield _gap(evaluator, "train", "test")


@metric(
    "prior_overfitting_{split}",
    "prior_overfitting_held_out",
    "an encoder and a prior with a density, and a run",
    "a pass of the encoder",
)
def _prior_overfitting_of(evaluator, split):
    """As prior_overfitting, of any split against those that the run learned from."""
    yield _gap(evaluator, "learned", split)


def _gap(evaluator, first, second):
    before, after = map(evaluator.prior_nll, (first, second))
    errors = [mean_of(nll)["standard_error"] for nll in (before, after)]
    return {
        "value": float(after.mean() - before.mean()),
        "standard_error": None if None in errors else float(np.hypot(*errors)),
        first: float(before.mean()),
        second: float(after.mean()),
    }
