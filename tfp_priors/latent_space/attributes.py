"""Directions of attributes, and how evenly an attribute changes along a path."""

import numpy as np

from tfp_priors.errors import UserError
from tfp_priors.latent_space.rows import finite_rows


def attribute_vector(codes: np.ndarray, has_attribute: np.ndarray) -> np.ndarray:
    """The mean code of what has an attribute minus that of the rest, section 5.2.

    Args:
      codes: `[n, d]`.
      has_attribute: of each code, `[n]`; booleans, or 0 and 1.

    Returns:
      `[d]`, in the codes' units and in double precision.

    Raises:
      UserError: if there are not as many answers as codes, all or none have the
        attribute, or codes are not finite.
    """
    codes = finite_rows("codes", codes)
    has_attribute = np.asarray(has_attribute)
    if has_attribute.shape != (len(codes),):
        raise UserError(
            f"has_attribute must say yes or no of each of {len(codes)} codes, received "
            f"shape {has_attribute.shape}: give both of the same images."
        )
    has_attribute = has_attribute.astype(bool)
    count = np.count_nonzero(has_attribute)
    if not 0 < count < len(codes):
        raise UserError(
            "an attribute vector needs codes with and without the attribute, received "
            f"{count} with and {len(codes) - count} without: give more images or "
            "choose another attribute."
        )
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def rate_of_change(t: np.ndarray, values: np.ndarray) -> np.ndarray:
    """|d values / d t| by differences of neighbouring points.

    Args:
      t: where the values are, ascending, `[steps]`.
      values: along each path, `[..., steps]`; such as probabilities of an attribute.

    Returns:
      `[..., steps - 1]`, in units of the values per unit of t.

    Raises:
      UserError: if t does not ascend or has not as many points as the values.
    """
    widths, values = _widths(t, values)
    return np.abs(np.diff(values, axis=-1)) / widths


def unevenness(t: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How far the rate of change along each path is from constant.

    The variance over t of `rate_of_change`, divided by its squared mean: 0 if the rate
    is constant, k - 1 if all change happens between one pair of the k pairs of evenly
    spaced neighbours. It does not depend on the values' units.

    Args:
      t: where the values are, ascending, `[steps]`.
      values: along each path, `[..., steps]`.

    Returns:
      `[...]`; NaN for a path on which nothing changes, since it has no rate to be
      even or uneven.

    Raises:
      UserError: if t does not ascend or has not as many points as the values.
    """
    widths, _ = _widths(t, values)
    rates = rate_of_change(t, values)
    weights = widths / widths.sum()
    mean = np.sum(weights * rates, axis=-1)
    changes = mean != 0
    relative = rates / np.where(changes, mean, 1.0)[..., None]
    return np.where(changes, np.sum(weights * (relative - 1) ** 2, axis=-1), np.nan)


def median_unevenness(t: np.ndarray, values: np.ndarray) -> float:
    """The median over paths of `unevenness`.

    Args:
      t: where the values are, ascending, `[steps]`.
      values: along each path, `[n, steps]`.

    Returns:
      It is over those on which something changes; NaN if there is none.

    Raises:
      UserError: as `unevenness`.
    """
    each = unevenness(t, values)
    each = each[np.isfinite(each)]
    return float(np.median(each)) if each.size else np.nan


def _widths(t, values):
    """The gaps between neighbouring t, `[steps - 1]`, and the values in double."""
    t, values = np.asarray(t, np.float64), np.asarray(values, np.float64)
    if t.ndim != 1 or len(t) < 2 or not np.all(np.diff(t) > 0):
        raise UserError(
            f"t must have at least 2 ascending values, received {t.tolist()}: give the "
            "points of the path in order."
        )
    if values.shape[-1:] != t.shape:
        raise UserError(
            f"values must have shape [..., {len(t)}], one for each t, received shape "
            f"{values.shape}: put the steps on the last axis."
        )
    return np.diff(t), values
