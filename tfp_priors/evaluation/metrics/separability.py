"""Whether hyperplanes in the code tell attributes apart."""

from tfp_priors.errors import UserError
from tfp_priors.evaluation.metrics.metric import metric


@metric(
    "separability{n}_{space}",
    "separability200k_z",
    "a prior and a classifier",
    "n samples and passes of the classifier, a support vector machine per attribute",
    network="classifier",
)
def _separability(evaluator, n, space):
    """StyleGAN's linear separability of z or z0 by the classifier's attributes or
    classes, the more confident half of n samples kept; 1 is perfect."""
    yield _measured(evaluator, n, space, n // 2)


@metric(
    "separability_all{n}_{space}",
    "separability_all200k_z",
    "a prior and a classifier",
    "as separability200k_z",
    network="classifier",
)
def _separability_of_all(evaluator, n, space):
    """The same with all n samples kept, so that an attribute of few or unsure ones
    counts, as do the classifier's own doubts; 1 is perfect."""
    yield _measured(evaluator, n, space, n)


def _measured(evaluator, n, space, kept):
    """The result of n samples, of which so many are kept for each attribute."""
    from tfp_priors.evaluation.separability import one_vs_rest_logits
    from tfp_priors.evaluation.separability import separability

    codes = evaluator.prior_codes(n)
    if space not in codes:
        raise UserError(
            f"{evaluator.subject.name} has no z0, which separability in z0 needs: its "
            "prior's codes are not the image of one base variable. Measure it in z."
        )
    logits = evaluator.logits("classifier", evaluator.samples(n), "samples")
    if evaluator.exclusive_classes:
        logits = one_vs_rest_logits(logits)
    result = separability(codes[space], logits, kept)
    return {
        "value": result.score,
        "conditional_entropies": [float(h) for h in result.conditional_entropies],
        "degenerate": list(result.degenerate),
        "unconverged": list(result.unconverged),
        "samples": n,
        "kept": kept,
        "extractor": "classifier",
    }
