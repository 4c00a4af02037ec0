"""Rows of numbers, in memory or read as they are needed."""

import math
import warnings

import numpy as np

from tfp_priors.errors import UserError

# Numbers that are looked at at a time.
_AT_ONCE = 2**22

# float32 may move a number by no more than this share of the standard deviation.
_ROUNDED = 0.1

# One-hot vectors are no longer than this.
_MOST_LABELS = 2**16

# Squares of what is farther out are infinite in float32, or nearly.
_FARTHEST = 1e18


class Rows:
    """Rows of what is indexed as an array, as float32 vectors, read when asked for.

    Args:
      whole: what they are rows of, `[size, ...]`.
      rows: their numbers; None: all.
    """

    def __init__(self, whole, rows=None):
        self._whole = whole
        self._rows = rows
        size = whole.shape[0] if rows is None else len(rows)
        self.shape = (size, math.prod(whole.shape[1:]))

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        rows, places = index if self._rows is None else self._rows[index], slice(None)
        if isinstance(rows, np.ndarray) and not isinstance(self._whole, np.ndarray):
            # Files of h5py are read in their order, and a row once.
            rows, places = np.unique(rows, return_inverse=True)
        # What float32 cannot hold becomes infinite, which `checked_rows` refuses.
        with np.errstate(over="ignore"):
            values = np.asarray(self._whole[rows], np.float32)
        return values.reshape(-1, self.shape[1])[places]


def as_array(values) -> np.ndarray:
    """Codes in memory, of whatever kind, as an array.

    Raises:
      UserError: if they are no array of numbers.
    """
    is_pair = isinstance(values, tuple) and len(values) == 2
    if is_pair and any(getattr(each, "ndim", 0) > 1 for each in values):
        raise UserError(
            "Expected codes, received a tuple of 2 arrays: give their context as "
            "context."
        )
    if hasattr(values, "toarray"):
        raise UserError(
            "Expected codes as an array, received a sparse one: give its toarray()."
        )
    _refuse_mask("codes", values)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UserError(
            "Expected codes as an array, received rows of different lengths."
        ) from error
    if not array.ndim:
        raise UserError(
            f"Expected codes as an array, received a {type(array.item()).__name__}: "
            "load or collect them first."
        )
    if array.dtype.name == "bfloat16":  # Which NumPy itself does not know.
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        # Of columns of several types, or with missing numbers.
        cure = ': give their astype("float32")' if array.dtype.kind == "O" else ""
        raise UserError(f"Expected codes of numbers, received {array.dtype}{cure}.")
    return array


def some_rows(rows, numbers):
    """The rows with these numbers; of an array in memory at once."""
    return rows[numbers] if isinstance(rows, np.ndarray) else Rows(rows, numbers)


def checked_rows(name: str, values):
    """Finite numbers as float32 vectors.

    Args:
      name: of the values, for messages.
      values: an array, which is copied if its type is another one; or what is indexed
        as one, which is only looked at.

    Returns:
      An array `[size, numbers]`, or `Rows`, and the shape of a row before.

    Raises:
      UserError: if there are none, or they are no finite numbers.
    """
    shape = tuple(values.shape)
    if not shape or 0 in shape:
        raise UserError(f"Expected {name} with a row each, received {shape}.")
    if np.dtype(values.dtype).kind not in "fiub":
        raise UserError(f"Expected {name} of numbers, received {values.dtype}.")
    _refuse_mask(name, values)
    rows = Rows(values)
    is_rounded = np.dtype(values.dtype).itemsize > 4
    at_once = max(1, _AT_ONCE // rows.shape[1])
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        bad = np.argwhere(~(np.abs(part) < _FARTHEST))
        if len(bad):
            row, column = bad[0]
            of_row = values[start + row : start + row + 1]
            value = float(np.ravel(of_row)[column])
            raise UserError(
                f"Expected finite {name} below {_FARTHEST:g} in size, received "
                f"{value:g} in row {start + row}: leave such rows out, or scale them."
            )
        if is_rounded and not start:
            _warn_of_rounding(name, values[:at_once], part)
    return (rows[:] if type(values) is np.ndarray else rows), shape[1:]


def _refuse_mask(name, values):
    if np.ma.is_masked(values):
        raise UserError(
            f"Expected {name} without a mask, received masked numbers: leave their "
            "rows out."
        )


def _warn_of_rounding(name, values, part):
    """Warns of numbers that float32 does not tell apart, as of seconds since 1970."""
    values = np.asarray(values, np.float64).reshape(part.shape)
    deviations = np.where(np.ptp(values, axis=0) > 0, values.std(0), np.inf)
    bad = np.flatnonzero(np.spacing(np.abs(part).max(0)) > _ROUNDED * deviations)
    if len(bad):
        column = bad[0]
        warnings.warn(
            f"The {name} have {values[0, column]:.10g} in column {column}, and a "
            f"standard deviation of {deviations[column]:.3g} there: float32 rounds "
            "what they differ by. Subtract the mean.",
            stacklevel=5,
        )


def warn_of_few(rows: int, numbers: int, stacklevel: int = 2) -> None:
    """Warns of codes that are fewer than the numbers of each."""
    if rows < numbers:
        warnings.warn(
            f"{rows} codes of {numbers} dimensions tell a prior little of others: give "
            "more codes, or fewer dimensions.",
            stacklevel=stacklevel + 1,
        )


def warn_of_idle(context: np.ndarray) -> None:
    """Warns of contexts most of whose numbers are always 0, as of years as labels."""
    size = context.shape[1]
    idle = size - np.count_nonzero(np.any(context, axis=0))
    if 2 * idle > size:
        warnings.warn(
            f"{idle} of the {size} numbers of a context are always 0: number labels "
            "from 0 on, or give what are no labels as floats.",
            stacklevel=3,
        )


def checked_context(context, size: int | None, rows: int):
    """The context of codes as float32 vectors.

    Args:
      context: numbers `[rows, size]`, or integers `[rows]` from 0, which become
        one-hot vectors if `size` is not 1.
      size: width of the vectors; None: as there are in it.
      rows: how many there must be.

    Raises:
      UserError: if there are others, or they are no finite numbers.
    """
    context = np.asarray(context)
    if context.dtype.kind in "OSU":
        raise UserError(
            f"Expected a context of numbers, received {context.dtype}: number labels "
            "from 0, as numpy.unique does with return_inverse=True."
        )
    if context.ndim == 2 and context.shape[1] == 1 and size not in (None, 1):
        context = context[:, 0]  # Labels as a column of a table.
    if context.shape[:1] != (rows,):
        raise UserError(
            f"Expected a context for each of the {rows} codes, received one of shape "
            f"{context.shape}."
        )
    if not rows:
        return np.zeros([0, size or 0], np.float32)
    if context.ndim == 1 and context.dtype.kind in "iub" and size != 1:
        low, high = int(context.min()), int(context.max())
        if low < 0 or (size is not None and high >= size):
            most = f"to {size - 1}, the prior's context_size less 1" if size else "on"
            raise UserError(f"Expected labels from 0 {most}, received {low} to {high}.")
        width = size or high + 1
        if width > _MOST_LABELS:
            raise UserError(
                f"Expected labels below {_MOST_LABELS:,}, as they become vectors of as "
                f"many numbers, received {high:,}: give numbers [{rows}, size]."
            )
        vectors = np.zeros([rows, width], np.float32)
        vectors[np.arange(rows), context.astype(int)] = 1.0
        return vectors
    vectors, _ = checked_rows("context", context)
    if size is not None and vectors.shape[1] != size:
        raise UserError(
            f"Expected a context of {size} numbers, the prior's context_size, received "
            f"{vectors.shape[1]}."
        )
    return vectors
