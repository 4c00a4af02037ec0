"""Checks of values within a graph."""

import tensorflow as tf

from tfp_priors.errors import UserError


def asserted(values, condition, error: UserError):
    """Tensors that a graph has only where a condition holds.

    XLA leaves the check out.

    Args:
      values: a tensor, or a structure of them.
      condition: a boolean scalar.
      error: what is told otherwise; see `errors.raised_in_graph`.

    Returns:
      The values.
    """
    with tf.control_dependencies([tf.debugging.Assert(condition, [error.in_graph])]):
        return tf.nest.map_structure(tf.identity, values)
