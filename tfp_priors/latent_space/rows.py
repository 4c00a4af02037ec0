"""Checks of the arrays that metrics receive: a row per image, sample or code."""

import numpy as np

from tfp_priors.errors import UserError


def finite_rows(name: str, values: np.ndarray, dtype=np.float64) -> np.ndarray:
    """`values` as a matrix with one row per item, `[n, size]`.

    Raises:
      UserError: if there are no items or values are not finite; `name` is in the
        message.
    """
    values = np.asarray(values, dtype)
    if values.size == 0 or values.ndim == 0:
        raise UserError(
            f"{name} must be an array with one row per item, received shape "
            f"{values.shape}: give at least one row."
        )
    bad = values.size - np.count_nonzero(np.isfinite(values))
    if bad:
        raise UserError(
            f"{name} must be finite, received {bad} NaN or infinite of {values.size} "
            "values: find out where they come from, or leave their rows out."
        )
    return np.ascontiguousarray(values.reshape(len(values), -1))


def comparable_rows(dtype=np.float64, **arrays: np.ndarray) -> list[np.ndarray]:
    """Each array as `finite_rows`, all of one size and of `dtype` or a wider type.

    Raises:
      UserError: if the arrays differ in more than the first axis; see also
        `finite_rows`.
    """
    values = [np.asarray(array) for array in arrays.values()]
    if len({value.shape[1:] for value in values}) > 1:
        raise UserError(
            f"{', '.join(arrays)} must have rows of one shape, received shapes "
            f"{', '.join(str(value.shape) for value in values)}: give what one "
            "function made."
        )
    dtype = np.result_type(dtype, *values)
    return [
        finite_rows(name, value, dtype)
        for name, value in zip(arrays, values, strict=True)
    ]
