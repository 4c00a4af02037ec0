"""A measured number and how sure it is."""

from typing import NamedTuple


class Estimate(NamedTuple):
    """A value and its standard error."""

    value: float
    standard_error: float
