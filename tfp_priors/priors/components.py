"""Draws of mixtures."""

import tensorflow as tf

from tfp_priors.core import replicas


def draw_components(logits, n, seed):
    """Which component each of n draws is of.

    TFP's mixtures draw from every component, and keep one.

    Args:
      logits: of the components, `[components]`, or `[n, components]` for draws that
        have weights of their own.
      n: rows of this replica.
      seed: int tensor `[2]`.

    Returns:
      Integers `[n]`, this replica's rows of what is drawn for the global batch.
    """

    def draw(rows):
        if logits.shape.rank == 1:
            which = tf.random.stateless_categorical(logits[None], rows, seed)
        else:
            everyones = replicas.repeated(logits)
            which = tf.random.stateless_categorical(everyones, 1, seed)
        return tf.reshape(which, [-1])

    return replicas.rows(draw, n)
