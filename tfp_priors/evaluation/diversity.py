"""How much samples of one condition differ, and whether they keep to it."""

from collections.abc import Callable, Mapping

import numpy as np
import scipy.stats

from tfp_priors.core.estimate import Estimate
from tfp_priors.evaluation.feature_metrics import classifier_score


def mean_over_conditions(values: np.ndarray) -> Estimate:
    """The mean of what was measured m times of each condition.

    Args:
      values: `[conditions, m]`.

    Returns:
      The mean, and its standard error over the conditions, which are independent, or
      over the m values of a single one; NaN if that is one value.
    """
    independent = values.mean(axis=1) if len(values) > 1 else values[0]
    n = len(independent)
    error = independent.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return Estimate(float(independent.mean()), float(error))


def factor_entropies(values: np.ndarray, levels: int) -> np.ndarray:
    """The entropy of a factor over the samples of each condition, in nats.

    With the correction of Miller & Madow 1955, (levels seen - 1) / (2 m): without it
    the entropy of few samples is too small.

    Args:
      values: ints `[conditions, m]` from 0 to levels - 1.
      levels: number of values that the factor has.

    Returns:
      `[conditions]`; that of draws of all levels, as probable as each other, has the
      mean log(levels), about which it is spread.
    """
    counts = np.stack([(values == level).sum(axis=1) for level in range(levels)], 1)
    correction = ((counts > 0).sum(axis=1) - 1) / (2 * values.shape[1])
    return scipy.stats.entropy(counts, axis=1) + correction


def covered_entropy(
    logits: np.ndarray, factors: Mapping[str, slice]
) -> tuple[Estimate, dict[str, float]]:
    """The share of independent uniform factors' entropy that samples cover.

    Args:
      logits: of a classifier of one-hot factors, `[conditions, m, attributes]`.
      factors: the attributes of each factor.

    Returns:
      The share of all factors, at most 1, and 1 if samples of one condition are as
      diverse as the data, see `mean_over_conditions`; and the share of each factor.
    """
    sums, possible, shares = 0.0, 0.0, {}
    for name, columns in factors.items():
        levels = columns.stop - columns.start
        entropies = factor_entropies(logits[..., columns].argmax(axis=-1), levels)
        # Cut off one by one, the mean of a perfect model would be too small.
        entropies *= min(1.0, np.log(levels) / max(entropies.mean(), 1e-12))
        shares[name] = float(entropies.mean() / np.log(levels))
        sums, possible = sums + entropies, possible + np.log(levels)
    return mean_over_conditions((sums / possible)[:, None]), shares


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


def _euclidean(first, second):
    return np.linalg.norm(first.astype(np.float64) - second, axis=-1)


def pair_distances(
    samples: np.ndarray, distance: Callable = _euclidean, batch_size: int = 64
) -> np.ndarray:
    """Distances of disjoint pairs of samples of each condition (Zhu et al. 2017).

    As in Toward Multimodal Image-to-Image Translation, whose distance is LPIPS. Sample
    i goes with sample pairs + i, so that the distances are independent.

    Args:
      samples: vectors or images, `[conditions, 2 pairs, ...]`.
      distance: maps two batches of them to distances, `[batch]`; by default of vectors.
      batch_size: most pairs that `distance` receives at once.

    Returns:
      `[conditions, pairs]`, float64.
    """
    pairs = np.split(samples, 2, axis=1)
    first, second = (half.reshape(-1, *half.shape[2:]) for half in pairs)
    batches = [slice(i, i + batch_size) for i in range(0, len(first), batch_size)]
    distances = [distance(first[batch], second[batch]) for batch in batches]
    return np.concatenate(distances).astype(np.float64).reshape(pairs[0].shape[:2])
