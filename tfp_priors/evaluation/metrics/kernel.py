"""Kernel distances in the features of a network."""

from tfp_priors.evaluation.metrics.metric import metric


def _kernel(evaluator, extractor, n, split):
    from tfp_priors.evaluation import feature_metrics

    real = evaluator.real_images(split, n)
    fresh = evaluator.fresh_images(split, n)
    target = evaluator.activations(extractor, real, f"{split} images").features
    # Ten blocks at least, for the standard error.
    block = min(1000, max(2, min(n, real.size) // 10))

    def distance(images, label):
        features = evaluator.activations(extractor, images, label).features
        return feature_metrics.kernel_distance(target, features, block)

    estimate = distance(evaluator.samples(n), "samples")
    yield {
        "value": estimate.value,
        "standard_error": estimate.standard_error,
        "floor": distance(fresh, "fresh real images").value if fresh else None,
        "samples": n,
        "images": real.size,
        "extractor": extractor,
    }


@metric("kid{n}_{split}", "kid10k_test", "Inception", "as fid; shares its passes")
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
