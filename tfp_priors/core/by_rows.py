"""Functions of rows, for tensors of any rank."""

from collections.abc import Callable

import tensorflow as tf


def by_rows(function: Callable, x, context=None):
    """What a function of rows makes of a tensor of other ranks.

    Networks take rows alone; `sample([2, 3])` and `log_prob` of such draws, as TFP's
    distributions have them, do not.

    Args:
      function: rows `[n, size]`, and a context `[n, context_size]` or None, to tensors
        `[n, ...]`.
      x: `[..., size]`.
      context: `[batch, context_size]`, for x `[..., batch, size]`; or None.

    Returns:
      Its tensors, with the dimensions of x but the last one in place of n.
    """
    if x.shape.rank == 2:
        return function(x, context)
    shape = tf.shape(x)[:-1]
    if context is not None:
        context = tf.tile(context, [tf.reduce_prod(shape[:-1]), 1])

    def back(rows):
        return tf.reshape(rows, tf.concat([shape, tf.shape(rows)[1:]], axis=0))

    of_rows = function(tf.reshape(x, [-1, x.shape[-1]]), context)
    return tf.nest.map_structure(back, of_rows)
