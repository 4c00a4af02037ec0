"""Dropout whose noise is a function of a seed, the same for N replicas as for one."""

from collections.abc import Callable

import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.errors import UserError


def check_dropout(rate: float, owner: str) -> float:
    """Returns the rate if it is in [0, 1); raises UserError otherwise."""
    if not 0 <= rate < 1:
        raise UserError(f"{owner} expects a dropout in [0, 1), received {rate}.")
    return rate


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
        own = tf.random.experimental.stateless_fold_in(seed, number)
        noise = replicas.rows(
            lambda n: tf.random.stateless_uniform([n, units.shape[-1]], own),
            replicas.size(units),
        )
        between = [1] * (len(units.shape) - 2)
        noise = tf.reshape(noise, [-1, *between, units.shape[-1]])
        return tf.where(noise >= rate, units / (1.0 - rate), 0.0)

    return drop
