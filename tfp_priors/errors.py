"""The errors that a command turns into one line for its user, and common checks."""

import contextlib
import importlib
import numbers
import operator
import os
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Within it nothing is written to stderr, by Python or by what it calls."""
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w", encoding="utf-8") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def printable(text: str) -> str:
    """A text with what is not printable, such as a line break, escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def first_line(error: Exception) -> str:
    """The first line of an error's own words; its name if it has none."""
    # Keras prints those of an error in a layer's call in bold, among others.
    _, _, bold = str(error).rpartition("\x1b[1m")
    lines = bold.partition("\x1b[0m")[0].strip().splitlines()
    return lines[0] if lines else type(error).__name__


class UserError(ValueError):
    """A mistake in the input; the message says what was expected and what to do.

    Commands print the message on one line and exit with code 2.

    Args:
      message: the line; what cannot be printed of the names in it, such as a line
        break, is escaped.
    """

    # So that Keras puts no words of its own around it.
    _keras_call_info_injected = True

    def __init__(self, message: str):
        super().__init__(printable(message))

    @property
    def in_graph(self) -> str:
        """The message of a TensorFlow assertion that `raised_in_graph` turns back."""
        return f"{UserError.__name__}: {self}"


class StoreError(OSError):
    """A store of files cannot be reached, or refuses; the message says which and why.

    Commands print the message on one line and exit with code 1.
    """


class NonFiniteError(ArithmeticError):
    """Training met a NaN or an infinity; the message names the term and the step.

    Commands print the message on one line and exit with code 1.

    Args:
      message: the line.
      what: the terms that are not finite.
      step: at which they are not.
    """

    def __init__(self, message: str, what: str, step: int):
        super().__init__(message)
        self.what = what
        self.step = step


class WorkerLostError(RuntimeError):
    """Another process that trains the same model is gone."""


class RunsFailedError(RuntimeError):
    """Some runs of a sweep failed; the message names them.

    Commands print the message on one line and exit with code 1.
    """


@contextlib.contextmanager
def raised_in_graph() -> Iterator[None]:
    """Raises a `UserError` of a graph or a pipeline as it is.

    TensorFlow wraps it into an error of its own, with the name in the message.
    """
    try:
        yield
    except Exception as error:
        message = getattr(error, "message", None)  # Of tf.errors.OpError.
        found = re.search(rf"{UserError.__name__}: (.*)", str(message or ""))
        if found is None:
            raise
        line = found.group(1).replace("\\'", "'")
        # What Keras and TensorFlow put behind it.
        for end in ("\x1b[0m", "]", "'", '"'):
            line = line.removesuffix(end)
        raise UserError(line) from error


def imported(module: str, extra: str, asked: str) -> ModuleType:
    """A module of an optional package.

    Args:
      module: its name.
      extra: of this package that brings it.
      asked: what needs it.

    Raises:
      UserError: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise UserError(
            f"{asked} needs {error.name}: pip install 'tfp-priors[{extra}]'."
        ) from error


def check_counts(owner: str, **counts: int) -> None:
    """Raises: UserError: if a count of an owner, by name, is no whole number >= 1."""
    for name, value in counts.items():
        if not isinstance(value, numbers.Integral) or isinstance(value, bool):
            raise UserError(
                f"{owner}.{name} must be a whole number, received {value!r}."
            )
        if value < 1:
            raise UserError(f"{owner}.{name} must be at least 1, received {value}.")


def check_within(owner: str, interval: str, **values: float) -> None:
    """Checks numbers of an owner, by name.

    Args:
      owner: named in the message.
      interval: such as "[0, 1)" or "(0, inf)".
      **values: the numbers.

    Raises:
      UserError: if one is no number in the interval.
    """
    low, high = map(float, interval[1:-1].split(","))
    above = operator.le if interval.startswith("[") else operator.lt
    below = operator.le if interval.endswith("]") else operator.lt
    for name, value in values.items():
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not (is_number and above(low, value) and below(value, high)):
            raise UserError(
                f"{owner}.{name} must be a number in {interval}, received {value!r}."
            )


def check_widths(
    owner: str, widths: Any, name: str = "hidden_sizes"
) -> tuple[int, ...]:
    """Returns the units of hidden layers as a tuple.

    Raises:
      UserError: if they are no whole numbers >= 1; `owner` is named in the message.
    """
    if not isinstance(widths, (list, tuple)) or not all(
        isinstance(n, numbers.Integral) and n >= 1 for n in widths
    ):
        raise UserError(
            f"{owner} expects {name} as the units of each layer, such as "
            f"(64, 64), received {widths!r}."
        )
    return tuple(widths)


def check_per_row(what: str, shape: Any, or_scalar: bool = False) -> None:
    """Checks the shape of what a part gives for each row of a batch.

    Args:
      what: whose shape it is, for the message.
      shape: a `tf.TensorShape`.
      or_scalar: it may be of all rows together.

    Raises:
      UserError: if it is known, and not `[batch]`.
    """
    if shape.rank not in (None, 1, *([0] if or_scalar else [])):
        raise UserError(
            f"Expected {what} to be [batch]{' or a scalar' * or_scalar}, received "
            f"{shape}: give the sum over each row, as tfd.Independent does."
        )


def check_seed(seed: int, name: str = "a seed") -> None:
    """Raises: UserError: if it is no whole number in [0, 2^31)."""
    if not (isinstance(seed, numbers.Integral) and 0 <= seed < 2**31):
        raise UserError(f"Expected {name} in [0, 2^31), received {seed!r}.")


def check_part(name: str, part: Any, kind: type) -> None:
    """Raises: UserError: if what a model is made of is of another kind."""
    if isinstance(part, kind):
        return
    of_keras = "Keras " if kind.__module__.startswith("keras") else ""
    came = repr(part) if part is None or isinstance(part, str) else ""
    if isinstance(part, type):
        came = f"the class {part.__name__}: call it, {part.__name__}(...)"
    raise UserError(
        f"Expected the {name} to be a {of_keras}{kind.__name__}, received "
        f"{came or f'a {type(part).__name__}'}."
    )
