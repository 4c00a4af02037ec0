"""Whether samples are what a prior given labels or attributes was asked for."""

import numpy as np

from tfp_priors.errors import UserError
from tfp_priors.evaluation.metrics.metric import mean_of
from tfp_priors.evaluation.metrics.metric import metric

_NEEDS = "a model conditional on labels or attributes, and a classifier of them"


def _check(evaluator, *conditions):
    """Raises: UserError: if the subject is conditional on none of these."""
    condition, name = evaluator.subject.condition, evaluator.subject.name
    if condition not in conditions:
        raise UserError(
            f"{name} is conditional on {condition or 'nothing'}: expected a model that "
            f"is given {' or '.join(conditions)}."
        )


def _correct(logits, asked, exclusive):
    """Which decisions are as asked for, `[n]`, or `[n, attributes]`."""
    if exclusive != (asked.ndim == 1):
        told, wanted = ("classes", "attributes")[:: 1 if exclusive else -1]
        raise UserError(
            f"The classifier tells {told}, the model is given {wanted}: give a "
            "classifier of these."
        )
    if asked.ndim == 1:
        return logits.argmax(axis=-1) == asked
    if logits.shape != asked.shape:
        raise UserError(
            f"The classifier tells {logits.shape[1]} things, the data has "
            f"{asked.shape[1]} attributes: give a classifier of these."
        )
    return (logits > 0) == (asked > 0)


@metric(
    "condition_accuracy{n}",
    "condition_accuracy10k",
    _NEEDS,
    "n passes of it",
    network="classifier",
)
def _condition_accuracy(evaluator, n):
    """Share of n samples that the classifier takes for what was asked for: what test
    images have. Of attributes, the mean share of them; the ceiling is that of the test
    images themselves."""
    _check(evaluator, "label", "attributes")

    def correct(images, label):
        logits = evaluator.logits("classifier", images, label)
        right = _correct(logits, images.condition, evaluator.exclusive_classes)
        return right.reshape(len(right), -1).mean(axis=1)

    of_samples = correct(evaluator.samples(n), "samples")
    ceiling = correct(evaluator.real_images("test", n), "test images")
    yield mean_of(of_samples) | {
        "ceiling": float(ceiling.mean()),
        "extractor": "classifier",
    }


@metric(
    "fcd{n}_within_{split}",
    "fcd10k_within_test",
    _NEEDS,
    "n passes of it",
    network="classifier",
)
def _fcd_within(evaluator, n, split):
    """Frechet distance in a classifier's features between samples and images of one
    label, the mean over labels; not an FID."""
    from tfp_priors.evaluation import feature_metrics

    _check(evaluator, "label")
    pair = evaluator.samples(n), evaluator.real_images(split, n)
    labels = [images.condition for images in pair]
    features = [
        evaluator.activations("classifier", images, name).features
        for images, name in zip(pair, ("samples", f"{split} images"), strict=True)
    ]
    each = {}
    for label in np.unique(labels[1]):
        of_label = [f[y == label] for f, y in zip(features, labels, strict=True)]
        if min(map(len, of_label)) < 2:
            raise UserError(
                f"There are fewer than 2 samples or images of label {label} among {n}: "
                "ask for more, or for the plain fcd."
            )
        each[str(label)] = feature_metrics.frechet_distance(*of_label)
    yield {
        "value": float(np.mean(list(each.values()))),
        "labels": each,
        "samples": n,
        "extractor": "classifier",
    }
