"""Samples beside real images, in the features of a network."""

from tfp_priors.evaluation.metrics.metric import count_text
from tfp_priors.evaluation.metrics.metric import metric


def _compared(evaluator, extractor, n, split, seen, distance, **others):
    """The result of n samples, compared with n images of a split.

    Args:
      seen: maps the extractor, images and what progress calls them to what is compared.
      distance: of what is seen of the split's images and of others.
      **others: images besides samples, and the fresh ones of the floor; or None.
    """
    real = evaluator.real_images(split, n)
    target = seen(extractor, real, f"{split} images")
    labels = {"value": "samples", "floor": "fresh real images"}
    compared = {"value": evaluator.samples(n)} | others
    compared["floor"] = evaluator.fresh_images(split, n)
    return {
        name: None
        if images is None
        else distance(target, seen(extractor, images, labels.get(name, name)))
        for name, images in compared.items()
    } | {"samples": n, "images": real.size, "extractor": extractor}


def _features(evaluator):
    return lambda *images: evaluator.activations(*images).features


def _frechet(evaluator, extractor, n, split):
    from tfp_priors.evaluation import feature_metrics

    fresh = evaluator.fresh_images(split, n)
    yield _compared(
        evaluator,
        extractor,
        n,
        split,
        evaluator.moments,
        feature_metrics.frechet_distance_of_moments,
        reconstructions=evaluator.reconstructions(fresh),
    ) | {"fresh_images": fresh.size if fresh else 0}


@metric(
    "fid{n}_{split}",
    "fid10k_test",
    "Inception",
    "n passes of Inception",
    network="inception",
)
def _fid(evaluator, n, split):
    """Frechet Inception distance between n samples and n images of a split."""
    return _frechet(evaluator, "inception", n, split)


@metric(
    "fcd{n}_{split}",
    "fcd10k_test",
    "a classifier",
    "n passes of the classifier",
    network="classifier",
)
def _fcd(evaluator, n, split):
    """Frechet distance in the features of a classifier of the data set; not an FID."""
    return _frechet(evaluator, "classifier", n, split)


def _kernel(evaluator, extractor, n, split):
    from tfp_priors.evaluation import feature_metrics

    def distance(real, samples):
        # Ten blocks at least, for the standard error.
        block = min(1000, max(2, len(real) // 10))
        return feature_metrics.kernel_distance(real, samples, block)

    seen = _features(evaluator)
    result = _compared(evaluator, extractor, n, split, seen, distance)
    floor = result["floor"]
    yield result | result["value"]._asdict() | {"floor": floor and floor.value}


@metric(
    "kid{n}_{split}",
    "kid10k_test",
    "Inception",
    "as fid; shares its passes",
    network="inception",
)
def _kid(evaluator, n, split):
    """Kernel Inception distance, an unbiased squared MMD, with its standard error."""
    return _kernel(evaluator, "inception", n, split)


@metric(
    "kcd{n}_{split}",
    "kcd10k_test",
    "a classifier",
    "as fcd; shares its passes",
    network="classifier",
)
def _kcd(evaluator, n, split):
    """Kernel distance as KID, in the features of a classifier of the data set."""
    return _kernel(evaluator, "classifier", n, split)


@metric(
    "prdc_{extractor}{n}_{split}",
    "prdc_classifier10k_test",
    "a classifier or Inception",
    "the passes of fcd or fid, and n^2 distances",
    network="{extractor}",
    parts=("precision", "recall", "density", "coverage"),
)
def _prdc(evaluator, extractor, n, split):
    """Precision, recall, density and coverage with 5 neighbours; four results."""
    from tfp_priors.evaluation.precision_recall import precision_recall

    seen = _features(evaluator)
    result = _compared(evaluator, extractor, n, split, seen, precision_recall)
    for name, value in result["value"]._asdict().items():
        yield result | {
            "name": f"{name}_{extractor}{count_text(n)}_{split}",
            "value": value,
            "floor": getattr(result["floor"], name, None),
        }


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


@metric("is{n}", "is50k", "Inception", "n passes of Inception", network="inception")
def _is(evaluator, n):
    """Inception score of n samples in one piece; beside it that of test images."""
    return _score(evaluator, "inception", n)


@metric(
    "cs{n}", "cs10k", "a classifier", "n passes of the classifier", network="classifier"
)
def _cs(evaluator, n):
    """Classifier score: as the Inception score, from 1 to the number of classes."""
    return _score(evaluator, "classifier", n)
