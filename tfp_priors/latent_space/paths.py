"""Paths between codes, in the encoder's space and in the prior's base space."""

from collections.abc import Callable

import numpy as np

from tfp_priors.errors import UserError
from tfp_priors.latent_space.interpolation import lerp
from tfp_priors.latent_space.interpolation import slerp

#: A function of codes, `[n, d]` to `[n, d]`.
Map = Callable[[np.ndarray], np.ndarray]


def z_path(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """The straight path in z, section 5.2: lerp(a, b; t).

    Args:
      a: codes where the paths begin, `[d]` or `[n, d]`.
      b: codes where they end, likewise.
      steps: points of a path, evenly spaced in t from 0 to 1; at least 2.

    Returns:
      `[steps, ..., d]`.

    Raises:
      UserError: if the shapes of a and b do not fit, or steps is below 2.
    """
    return lerp(a, b, _times(steps))


def z0_path(
    a: np.ndarray, b: np.ndarray, steps: int, to_base: Map, from_base: Map
) -> np.ndarray:
    """The path through the base space, section 5.2: from_base(slerp(z0_a, z0_b; t)).

    Args:
      a: codes where the paths begin, `[d]` or `[n, d]`.
      b: codes where they end, likewise.
      steps: points of a path, evenly spaced in t from 0 to 1; at least 2.
      to_base: z to z0, `[n, d]` each; the paper's f.
      from_base: its inverse.

    Returns:
      z along the paths, `[steps, ..., d]`; the ends are a and b as far as from_base
      inverts to_base.

    Raises:
      UserError: if the shapes of a and b do not fit, or steps is below 2.
    """
    times = _times(steps)
    a, b = lerp(a, b, [0.0, 1.0])  # broadcast, [..., d]
    ends = np.asarray(to_base(np.stack([a, b]).reshape(-1, a.shape[-1])))
    base_a, base_b = ends.reshape(2, *a.shape)
    path = slerp(base_a, base_b, times)
    return np.asarray(from_base(path.reshape(-1, a.shape[-1]))).reshape(path.shape)


def _times(steps):
    if steps < 2:
        raise UserError(
            f"a path has at least 2 steps, its ends, received {steps}: ask for more."
        )
    return np.linspace(0.0, 1.0, steps)
