"""Frechet distances in the features of a network."""

from tfp_priors.evaluation.metrics.metric import metric


def _frechet(evaluator, extractor, n, split):
    from tfp_priors.evaluation import feature_metrics

    real = evaluator.real_images(split, n)
    fresh = evaluator.fresh_images(split, n)
    target = evaluator.moments(extractor, real, f"{split} images")

    def distance(images, label):
        if images is None:
            return None
        moments = evaluator.moments(extractor, images, label)
        return feature_metrics.frechet_distance_of_moments(target, moments)

    yield {
        "value": distance(evaluator.samples(n), "samples"),
        "reconstructions": distance(
            evaluator.reconstructions(fresh), "reconstructions"
        ),
        "floor": distance(fresh, "fresh real images"),
        "samples": n,
        "images": real.size,
        "fresh_images": fresh.size if fresh else 0,
        "extractor": extractor,
    }


@metric("fid{n}_{split}", "fid10k_test", "Inception", "n passes of Inception")
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
