"""Precision, recall, density and coverage of samples, by nearest neighbours."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from tfp_priors.errors import UserError
from tfp_priors.latent_space.rows import comparable_rows


class PrecisionRecall(NamedTuple):
    """Fidelity and diversity of samples.

    Attributes:
      precision: share of samples within the k-ball of a real point
        (Kynkaanniemi et al. 2019).
      recall: share of real points within the k-ball of a sample.
      density: k-balls of real points that a sample lies in, over k (Naeem et al.
        2020); above 1 if samples crowd where the data is dense.
      coverage: share of real points whose k-ball holds a sample.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(
    real: np.ndarray, samples: np.ndarray, k: int = 5
) -> PrecisionRecall:
    """Compares samples with real points.

    The k-ball of a point ends at its k-th nearest neighbour of its own kind, and
    includes its surface.

    Args:
      real: features `[n, size]`, n > k.
      samples: features `[m, size]`, m > k.
      k: neighbours.

    Raises:
      UserError: if sizes differ, values are not finite or k is out of range.
    """
    real, samples = comparable_rows(real=real, samples=samples)
    if not 1 <= k < min(len(real), len(samples)):
        raise UserError(
            "k must be at least 1 and less than the numbers of points, received "
            f"k = {k}, {len(real)} real points and {len(samples)} samples: choose "
            "another k or give more points."
        )
    real_radii, sample_radii = _radii(real, k), _radii(samples, k)
    hits = np.zeros(len(samples))  # real balls around each sample
    recalled = np.zeros(len(real), bool)
    covered = np.zeros(len(real), bool)
    start = 0
    for distances in pairwise_distances_chunked(real, samples):  # [chunk, m]
        rows = slice(start, start + len(distances))
        start += len(distances)
        in_real_ball = distances <= real_radii[rows, None]
        hits += in_real_ball.sum(0)
        covered[rows] = in_real_ball.any(1)
        recalled[rows] = (distances <= sample_radii).any(1)
    return PrecisionRecall(
        precision=float(np.mean(hits > 0)),
        recall=float(recalled.mean()),
        density=float(hits.mean() / k),
        coverage=float(covered.mean()),
    )


def _radii(points, k):
    # The nearest neighbour of a point among its own kind is itself.
    neighbours = NearestNeighbors(n_neighbors=k + 1).fit(points)
    return neighbours.kneighbors(points)[0][:, -1]
