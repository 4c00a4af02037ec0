"""What happens along paths between codes."""

import numpy as np

from tfp_priors.errors import UserError
from tfp_priors.evaluation.metrics.metric import mean_of
from tfp_priors.evaluation.metrics.metric import metric


@metric(
    "path_density{n}_{split}",
    "path_density1k_test",
    "an encoder and a flow prior",
    "passes of the flow, a search for neighbours",
)
def _path_density(evaluator, n, split):
    """Nats by which the mean log p(z) along paths in z0 (slerp) exceeds that along
    paths in z (lerp) between the same n pairs of codes; 11 points each, with ends.
    Beside it the mean distance to the nearest code of the split, over inner points."""
    from tfp_priors.evaluation import paths

    densities, distances = paths.path_densities(evaluator, n, split)
    difference = densities["z0"] - densities["z"]
    yield mean_of(difference) | {
        **{name: float(values.mean()) for name, values in densities.items()},
        "nearest": {name: float(values.mean()) for name, values in distances.items()},
        "share": float(np.mean(difference > 0)),
        "pairs": len(difference),
    }


@metric(
    "attribute_unevenness{n}_{space}_{split}",
    "attribute_unevenness100_z_test",
    "an encoder, labels, a classifier; for z0 a flow prior",
    "11 n passes of decoder and classifier per attribute",
    network="classifier",
)
def _attribute_unevenness(evaluator, n, space, split):
    """How unevenly an attribute or class appears along the path from a code without it
    to that code plus the attribute vector: variance of the rate of change over its
    squared mean, 0 if constant, 9 if sudden; median of n images, mean of attributes."""
    from tfp_priors import latent_space
    from tfp_priors.evaluation import paths

    if space == "z0":
        evaluator.subject.ask("to_base")
    curves = [
        paths.attribute_curves(evaluator, attribute, n, split)[space]
        for attribute in range(paths.attribute_count(evaluator, split))
    ]
    values = [latent_space.median_unevenness(paths.T, curve) for curve in curves]
    gains = [float(np.mean(curve[:, -1] - curve[:, 0])) for curve in curves]
    if np.all(np.isnan(values)):
        raise UserError(
            f"The classifier sees no change along {n} paths of any attribute: ask for "
            "more paths, or train the decoder or the classifier longer."
        )
    yield {
        # Without attributes of which nothing changes; their own value is null.
        "value": float(np.nanmean(values)),
        "per_attribute": values,
        "gains": gains,
        "images": n,
        "extractor": "classifier",
    }
