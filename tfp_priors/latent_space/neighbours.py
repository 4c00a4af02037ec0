"""Nearest neighbours of samples or codes."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from tfp_priors.errors import UserError
from tfp_priors.latent_space.rows import comparable_rows


def nearest_neighbours(
    samples: np.ndarray, points: np.ndarray, k: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The k points nearest to each sample, by Euclidean distance.

    The search is exact; scikit-learn goes through the distances in chunks.

    Args:
      samples: `[n, ...]`; images of any shape are flattened.
      points: `[m, ...]`, of the samples' shape and units.
      k: neighbours, at most m.

    Returns:
      Distances, ascending, and indices into `points`, both `[n, k]`.

    Raises:
      UserError: if shapes differ, values are not finite or k is out of range.
    """
    # Stored in single precision where that is enough, compared in double.
    samples, points = comparable_rows(np.float32, samples=samples, points=points)
    if not 1 <= k <= len(points):
        raise UserError(
            f"k must be at least 1 and at most the number of points, {len(points)}, "
            f"received {k}: choose another k or give more points."
        )
    search = NearestNeighbors(n_neighbors=k).fit(points)
    indices = search.kneighbors(samples, return_distance=False)
    # The search finds |x|^2 + |y|^2 - 2 x.y, which leaves 1e-7 between equal points.
    distances = np.array(
        [
            np.linalg.norm(points[nearest].astype(np.float64) - sample, axis=1)
            for sample, nearest in zip(samples, indices, strict=True)
        ]
    )
    order = np.argsort(distances, axis=1, kind="stable")
    return (
        np.take_along_axis(distances, order, axis=1),
        np.take_along_axis(indices, order, axis=1),
    )
