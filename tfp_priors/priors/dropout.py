"""Dropout whose noise is a function of a seed, the same for N replicas as for one."""

from collections.abc import Callable

import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.replicas import fold_in


def dropping(rate: float, seed) -> Callable:
    """What a network does to its hidden units in a step of training.

    Args:
      rate: share of the units that become 0; the others grow by as much.
      seed: int tensor `[2]`.

    Returns:
      A function of a tensor `[batch, ..., units]` and its number in the network, which
      has noise of its own; a map loses whole channels.
    """

    def drop(units, number):
        own = fold_in(seed, number)
        between = [1] * (len(units.shape) - 2)
        shape = [*between, units.shape[-1]]
        noise = replicas.uniform(replicas.size(units), shape, own)
        return tf.where(noise >= rate, units / (1.0 - rate), 0.0)

    return drop
