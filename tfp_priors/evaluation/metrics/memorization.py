"""Whether samples are nearer to training images than to others."""

from tfp_priors.evaluation.metrics.metric import metric


@metric(
    "memorization_{features}{n}",
    "memorization_pixels10k",
    "train and test images",
    "n distances to each of 2n images",
    network="{features}",
)
def _memorization(evaluator, features, n):
    """Share of n samples nearer to a test than to a training image, both in equal
    number; 0.5 if nothing is memorised, less if training images are."""
    from tfp_priors.evaluation.memorization import memorization

    kinds = {
        "samples": evaluator.samples(n),
        "train images": evaluator.real_images("train", n),
        "test images": evaluator.real_images("test", n),
    }
    if features == "pixels":
        points = [images.floats() for images in kinds.values()]
    else:
        points = [
            evaluator.activations(features, images, label).features
            for label, images in kinds.items()
        ]
    result = memorization(*points, seed=evaluator.seed)
    yield {
        "value": result.share,
        "standard_error": result.standard_error,
        "z": result.z,
        "samples": result.samples,
        "images": result.points,
        "extractor": None if features == "pixels" else features,
    }
