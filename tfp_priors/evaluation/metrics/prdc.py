"""Precision, recall, density and coverage in the features of a network."""

from tfp_priors.evaluation.metrics.metric import count_text
from tfp_priors.evaluation.metrics.metric import metric


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

    real = evaluator.real_images(split, n)
    fresh = evaluator.fresh_images(split, n)
    target = evaluator.activations(extractor, real, f"{split} images").features

    def compare(images, label):
        features = evaluator.activations(extractor, images, label).features
        return precision_recall(target, features)._asdict()

    values = compare(evaluator.samples(n), "samples")
    floor = compare(fresh, "fresh real images") if fresh else {}
    for name, value in values.items():
        yield {
            "name": f"{name}_{extractor}{count_text(n)}_{split}",
            "value": value,
            "floor": floor.get(name),
            "samples": n,
            "images": real.size,
            "extractor": extractor,
        }
