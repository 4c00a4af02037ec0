"""How much samples of one condition differ."""

import numpy as np

from tfp_priors.errors import UserError
from tfp_priors.evaluation.metrics.metric import metric


@metric(
    "lpips_diversity_{net}_v{version}_{n}c{m}p",
    "lpips_diversity_alex_v0.1_1c2kp",
    "LPIPS weights",
    "2 n m passes of the network",
    network="lpips",
)
def _lpips_diversity(evaluator, net, version, n, m):
    """Mean LPIPS between m disjoint pairs of samples of each of n conditions; a model
    without conditions has one."""
    from tfp_priors.evaluation import diversity

    draws = evaluator.draws_of_conditions(n, 2 * m)
    lpips = evaluator.lpips(net, version)

    def distance(*images):
        return lpips(*(pixels.astype(np.float32) / 255 for pixels in images))

    pixels = _grouped(np.concatenate(list(draws)), n)
    distances = diversity.pair_distances(pixels, distance)
    estimate = diversity.mean_over_conditions(distances)
    yield estimate._asdict() | {"conditions": n, "pairs": m}


@metric(
    "feature_diversity_{extractor}_{n}c{m}p",
    "feature_diversity_classifier_100c10p",
    "the extractor",
    "2 n m passes of the extractor",
    network="{extractor}",
)
def _feature_diversity(evaluator, extractor, n, m):
    """Mean distance in an extractor's features between m disjoint pairs of samples of
    each of n conditions; beside it, that of pairs of real test images."""
    from tfp_priors.evaluation import diversity

    draws = evaluator.draws_of_conditions(n, 2 * m)
    features = evaluator.activations(extractor, draws, "samples").features
    distances = diversity.pair_distances(_grouped(features, n))
    real = evaluator.real_images("test", 2 * n * m)
    pairs = real.size // 2
    of_real = evaluator.activations(extractor, real, "test images").features
    yield diversity.mean_over_conditions(distances)._asdict() | {
        "real": float(diversity.pair_distances(of_real[None, : 2 * pairs]).mean())
        if pairs
        else None,
        "conditions": n,
        "pairs": m,
        "extractor": extractor,
    }


@metric(
    "factor_entropy_{n}c{m}s",
    "factor_entropy_200c50s",
    "a classifier, and data with independent uniform factors: procedural_people",
    "n m passes of the classifier",
    network="classifier",
)
def _factor_entropy(evaluator, n, m):
    """Share of the factors' entropy that m samples of each of n conditions cover, as
    the classifier reads them; 1 if samples are as diverse as the data."""
    from tfp_priors.evaluation import diversity

    factors = _factors(evaluator)
    draws = evaluator.draws_of_conditions(n, m)
    logits = evaluator.logits("classifier", draws, "samples")
    share, each = diversity.covered_entropy(_grouped(logits, n), factors)
    yield share._asdict() | {
        "factors": each,
        "conditions": n,
        "samples": m,
        "extractor": "classifier",
    }


def _grouped(values, n):
    """Values of draws of n conditions, a row for each condition."""
    return values.reshape(n, -1, *values.shape[1:])


def _factors(evaluator):
    factors = evaluator.dataset("test").factors
    if not factors:
        raise UserError(
            "The data has no factors that are known to be independent and uniform: "
            "procedural_people has."
        )
    return factors


@metric(
    "factor_score{n}",
    "factor_score5k",
    "a classifier, and data with independent uniform factors: procedural_people",
    "n passes of the classifier",
    network="classifier",
)
def _factor_score(evaluator, n):
    """Classifier score of each factor, and as value their geometric mean; beside it
    that of test images."""
    from tfp_priors.evaluation import diversity

    factors = _factors(evaluator)

    def score(images, label):
        logits = evaluator.logits("classifier", images, label)
        each = diversity.factor_scores(logits, factors)
        return float(np.exp(np.mean(np.log(list(each.values()))))), each

    real = evaluator.real_images("test", n)
    value, each = score(evaluator.samples(n), "samples")
    yield {
        "value": value,
        "real": score(real, "test images")[0],
        "factors": each,
        "samples": n,
        "images": real.size,
        "extractor": "classifier",
    }
