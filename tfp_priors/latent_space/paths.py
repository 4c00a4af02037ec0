"""Paths between codes, in the encoder's space and in the prior's base space."""

from collections.abc import Callable

import numpy as np

from tfp_priors.latent_space.interpolation import lerp
from tfp_priors.latent_space.interpolation import slerp

#: A function of codes, `[n, d]` to `[n, d]`.
Map = Callable[[np.ndarray], np.ndarray]


def paths_between(
    a: np.ndarray,
    b: np.ndarray,
    t: np.ndarray,
    to_base: Map | None = None,
    from_base: Map | None = None,
) -> dict[str, np.ndarray]:
    """The paths of section 5.2 between codes, straight in z and on a circle in z0.

        z0: from_base(slerp(to_base(a), to_base(b); t))
        z:  lerp(a, b; t)

    Args:
      a: codes where the paths begin, `[..., d]`.
      b: codes where they end, of the same shape.
      t: from 0 to 1, `[steps]`.
      to_base: z to z0; the paper's f. None: there is no path in z0.
      from_base: its inverse.

    Returns:
      "z0", if there is one, and "z": z along the paths, `[steps, ..., d]`. The ends are
      a and b, in z0 as far as from_base inverts to_base.

    Raises:
      UserError: if the shapes of a and b do not fit, or t is not `[steps]`.
    """
    found = {"z": lerp(a, b, t)}
    if to_base is None:
        return found
    z0 = slerp(_mapped(to_base, a), _mapped(to_base, b), t)
    return {"z0": _mapped(from_base, z0)} | found


def _mapped(function, points):
    rows = np.reshape(points, [-1, np.shape(points)[-1]])
    return np.reshape(function(rows), np.shape(points))
