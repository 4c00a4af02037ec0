"""Gradients: scaled by beta as in equations 6 and 7, and their norm by row."""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf


def is_zero(beta) -> bool:
    """Whether beta is the number 0, at every step of the training."""
    return isinstance(beta, (int, float)) and beta == 0


def scale_gradient(x, beta):
    """x itself, with its gradient multiplied by beta.

    A prior that is fed `scale_gradient(z, beta)` learns at full weight (equation 6)
    while the code feels beta times the push (equation 7), in one backward pass.

    Args:
      x: float tensor.
      beta: scalar >= 0, a number or a tensor. The number 0 cuts the gradient off, so
        that no 0 * inf can arise.
    """
    stopped = tf.stop_gradient(x)
    if is_zero(beta):
        return stopped
    # Not beta * x + (1 - beta) * stopped, which differs from x by rounding.
    return stopped + beta * (x - stopped)


def gradient_norm(function, x):
    """|d function / d x| for each row of x, `[batch, ...]` to `[batch]`."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(function(x))
    squares = tf.square(tape.gradient(y, x))
    # The root's own gradient is infinite at 0.
    return tf.sqrt(tf.reduce_sum(squares, axis=range(1, len(x.shape))) + 1e-12)


@contextlib.contextmanager
def scaled_weights(layers: Sequence[keras.layers.Layer], beta) -> Iterator[None]:
    """Within it, the gradients of the layers' weights are multiplied by beta.

    Gradients that pass through the layers to their inputs are not touched. Layers
    must be built, and updates of their state have no effect.

    Args:
      layers: the layers.
      beta: as in `scale_gradient`.
    """
    variables = [v for layer in layers for v in layer.trainable_variables]
    mapping = [
        (v, scale_gradient(tf.convert_to_tensor(v.value), beta)) for v in variables
    ]
    with keras.StatelessScope(state_mapping=mapping):
        yield
