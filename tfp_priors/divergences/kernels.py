"""Kernels k(x, y) as functions of the squared distance."""

from collections.abc import Iterable, Sequence

import tensorflow as tf

from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError


def _positive(numbers, owner):
    if not isinstance(numbers, Iterable):
        raise UserError(f"{owner} expects several numbers, received {numbers!r}.")
    numbers = tuple(float(number) for number in numbers)
    if not numbers or min(numbers) <= 0:
        raise UserError(f"{owner} expects positive numbers, received {numbers}.")
    return numbers


class GaussianKernel(Configured):
    """k = sum_s exp(-|x - y|^2 / (2 s^2)), a mixture over bandwidths.

    Args:
      bandwidths: the standard deviations s. The default has the numbers of Li et al.
        2015, which there are s^2.
    """

    def __init__(self, bandwidths: Sequence[float] = (2, 5, 10, 20, 40, 80)):
        self.bandwidths = _positive(bandwidths, "GaussianKernel.bandwidths")

    def __call__(self, squared_distance, size):
        """Args: squared distances of any shape, and the dimensions of x."""
        del size
        return tf.add_n(
            [tf.exp(-squared_distance / (2.0 * s**2)) for s in self.bandwidths]
        )


class InverseMultiquadricKernel(Configured):
    """k = sum_s C / (C + |x - y|^2), C = 2 d s, for x of d dimensions.

    2 d is the mean squared distance between two draws of N(0, I). The default scales
    are those of Tolstikhin et al. 2018. Its tails fall slowly, so that distant codes
    still feel a pull.

    Args:
      scales: the factors s.
    """

    def __init__(self, scales: Sequence[float] = (0.1, 0.2, 0.5, 1, 2, 5, 10)):
        self.scales = _positive(scales, "InverseMultiquadricKernel.scales")

    def __call__(self, squared_distance, size):
        """Args: squared distances of any shape, and the dimensions of x."""
        constants = [2.0 * size * s for s in self.scales]
        return tf.add_n([c / (c + squared_distance) for c in constants])
