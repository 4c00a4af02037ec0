"""The prior's density along paths."""

from collections.abc import Callable

import numpy as np

from tfp_priors.errors import UserError


def path_log_density(
    path: np.ndarray, log_prob: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """log p(z) of every point of paths, in nats.

    A density is per unit of volume: another scale of z shifts log p(z) by a constant.
    Paths of one model compare with each other, not with those of another.

    Args:
      path: z along n paths, `[steps, n, d]`.
      log_prob: log p(z) of codes, `[m, d]` to `[m]`.

    Returns:
      `[steps, n]`.

    Raises:
      UserError: if the path or the answers of log_prob have another shape.
    """
    path = np.asarray(path)
    if path.ndim != 3:
        raise UserError(
            f"path must have shape [steps, n, d], received shape {path.shape}: give a "
            "single path as [steps, 1, d]."
        )
    codes = path.reshape(-1, path.shape[-1])
    log_density = np.asarray(log_prob(codes))
    if log_density.shape != codes.shape[:1]:
        raise UserError(
            f"log_prob must return one number for each of {len(codes)} codes, received "
            f"shape {log_density.shape}: sum it over the dimensions."
        )
    return log_density.reshape(path.shape[:-1])


def average_log_density(log_density: np.ndarray) -> np.ndarray:
    """The mean of log p(z) over the points of each path, in nats.

    As `path_log_density`, it compares paths of one model only.

    Args:
      log_density: `[steps, n]`.

    Returns:
      `[n]`.
    """
    return np.mean(log_density, axis=0, dtype=np.float64)
