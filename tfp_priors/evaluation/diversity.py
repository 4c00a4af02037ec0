"""How much samples of one condition differ, and whether they keep to it."""

from collections.abc import Mapping

import numpy as np

from tfp_priors.core.estimate import Estimate
from tfp_priors.evaluation.feature_metrics import classifier_score


def factor_entropies(values: np.ndarray, levels: int) -> np.ndarray:
    """The entropy of a factor over the samples of each condition, in nats.

    With the correction of Miller & Madow 1955, (levels seen - 1) / (2 m): without it
    the entropy of few samples is too small.

    Args:
      values: ints `[conditions, m]` from 0 to levels - 1.
      levels: number of values that the factor has.

    Returns:
      `[conditions]`, at most log(levels).
    """
    counts = np.stack([(values == level).sum(axis=1) for level in range(levels)], 1)
    shares = counts / values.shape[1]
    logs = np.log(np.where(counts, shares, 1.0))
    correction = ((counts > 0).sum(axis=1) - 1) / (2 * values.shape[1])
    return np.minimum(-(shares * logs).sum(axis=1) + correction, np.log(levels))


def covered_entropy(
    logits: np.ndarray, factors: Mapping[str, slice]
) -> tuple[Estimate, dict[str, float]]:
    """The share of independent uniform factors' entropy that samples cover.

    Args:
      logits: of a classifier of one-hot factors, `[conditions, m, attributes]`.
      factors: the attributes of each factor.

    Returns:
      The share of all factors, 1 if samples of one condition are as diverse as the
      data, with its standard error over conditions; and the share of each factor.
    """
    sums, possible, shares = 0.0, 0.0, {}
    for name, columns in factors.items():
        levels = columns.stop - columns.start
        entropies = factor_entropies(logits[..., columns].argmax(axis=-1), levels)
        shares[name] = float(entropies.mean() / np.log(levels))
        sums, possible = sums + entropies, possible + np.log(levels)
    covered = sums / possible
    error = covered.std(ddof=1) / np.sqrt(len(covered)) if len(covered) > 1 else 0.0
    return Estimate(float(covered.mean()), float(error)), shares


def factor_scores(logits: np.ndarray, factors: Mapping[str, slice]) -> dict[str, float]:
    """The classifier score of each factor, from 1 to its number of levels.

    Args:
      logits: of a classifier of one-hot factors, `[n, attributes]`. The probability of
        a level is its attribute's, over the sum of the factor's attributes.
      factors: the attributes of each factor.
    """
    # A softmax of log-sigmoids divides by that sum.
    logs = -np.logaddexp(0.0, -logits.astype(np.float64))
    return {
        name: classifier_score(logs[:, columns]) for name, columns in factors.items()
    }


def pair_distances(features: np.ndarray) -> np.ndarray:
    """Distances of disjoint pairs of samples of each condition.

    Args:
      features: `[conditions, 2 pairs, size]`; sample i goes with sample pairs + i.

    Returns:
      `[conditions, pairs]`.
    """
    first, second = np.split(features.astype(np.float64), 2, axis=1)
    return np.linalg.norm(first - second, axis=-1)


def joint_distances(outputs: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """How far the joints that can be seen are from where they should be.

    Args:
      outputs: places that a regressor found, `[n, 2 joints]`.
      keypoints: `[n, joints, 2]`; unseen joints are negative.

    Returns:
      The mean over the seen joints of each image that has any, in units of its side:
      joints of one image err together, so images are what is independent.
    """
    offsets = outputs.reshape(keypoints.shape).astype(np.float64) - keypoints
    seen = (keypoints >= 0).all(axis=-1)
    seen, offsets = seen[seen.any(axis=1)], offsets[seen.any(axis=1)]
    return (seen * np.linalg.norm(offsets, axis=-1)).sum(axis=1) / seen.sum(axis=1)
