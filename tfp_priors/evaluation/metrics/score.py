"""Scores of samples by the classes that a network sees in them."""

from tfp_priors.evaluation.metrics.metric import metric


def _score(evaluator, extractor, n):
    from tfp_priors.evaluation import feature_metrics

    def score(images, label):
        logits = evaluator.logits(extractor, images, label)
        return feature_metrics.classifier_score(logits)

    real = evaluator.real_images("test", n)
    yield {
        "value": score(evaluator.samples(n), "samples"),
        "real": score(real, "test images"),
        "samples": n,
        "images": real.size,
        "extractor": extractor,
    }


@metric("is{n}", "is50k", "Inception", "n passes of Inception")
def _is(evaluator, n):
    """Inception score of n samples in one piece; beside it that of test images."""
    return _score(evaluator, "inception", n)


@metric(
    "cs{n}", "cs10k", "a classifier", "n passes of the classifier", network="classifier"
)
def _cs(evaluator, n):
    """Classifier score: as the Inception score, from 1 to the number of classes."""
    return _score(evaluator, "classifier", n)
