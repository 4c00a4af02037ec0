"""Normal distributions: densities, the distribution function and its inverse."""

import contextlib
import contextvars
import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

_ELEMENTARY = contextvars.ContextVar("elementary", default=False)

# Chebyshev fit of erfc, relative error 1.2e-7 (Numerical Recipes, section 6.2).
_ERFC = (
    *(-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806),
    *(0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277),
)

# Ratios of polynomials near 0, in the tail and far out, the lowest power first (Wichura
# 1988, algorithm AS 241, PPND7; relative error 1e-7).
_CENTRE = (
    (3.3871327179, 50.434271938, 159.29113202, 59.109374720),
    (1.0, 17.895169469, 78.757757664, 67.187563600),
)
_TAIL = (
    (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103),
    (1.0, 0.73700164250, 0.12021132975),
)
_FAR = (
    (6.6579051150, 3.0812263860, 0.42868294337, 0.017337203997),
    (1.0, 0.24197894225, 0.012258202635),
)


@contextlib.contextmanager
def elementary() -> Iterator[None]:
    """Within it these functions are graphs of elementary operations alone.

    TensorFlow's own are faster, but other runtimes have no such operations.
    """
    token = _ELEMENTARY.set(True)
    try:
        yield
    finally:
        _ELEMENTARY.reset(token)


def log_probs(x, means, scales):
    """log N(x; means[k], diag(scales[k])^2) in nats of all rows and components.

    Args:
      x: `[batch, dimensions]`.
      means: `[components, dimensions]`.
      scales: standard deviations, of the same shape.

    Returns:
      Float tensor `[batch, components]`.
    """
    if _ELEMENTARY.get():
        squares = tf.reduce_sum(tf.square((x[:, None] - means) / scales), axis=-1)
    else:
        # Products in place of `[batch, components, dimensions]`. Their terms cancel, so
        # that in float32 small scales would leave nats of rounding errors.
        x, centres, widths = (tf.cast(each, tf.float64) for each in (x, means, scales))
        precisions = 1.0 / tf.square(widths)
        pulls = precisions * centres
        squares = tf.matmul(tf.square(x), precisions, transpose_b=True)
        squares -= 2.0 * tf.matmul(x, pulls, transpose_b=True)
        squares = tf.cast(squares + tf.reduce_sum(pulls * centres, axis=-1), tf.float32)
    constants = tf.reduce_sum(tf.math.log(scales) + 0.5 * math.log(2.0 * math.pi), -1)
    return -0.5 * squares - constants


def whitened(x, inverses, shifts):
    """inverses[k] x - shifts[k] of all rows and components, by one product.

    Args:
      x: `[batch, dimensions]`.
      inverses: of Cholesky factors, `[components, dimensions, dimensions]`.
      shifts: inverses[k] means[k], `[components, dimensions]`.

    Returns:
      `[batch, components, dimensions]`, of N(0, I) where x is of the component.
    """
    d = x.shape[-1]
    white = tf.matmul(x, tf.reshape(inverses, [-1, d]), transpose_b=True)
    return tf.reshape(white, [-1, tf.shape(shifts)[0], d]) - shifts


def cdf(x):
    """P(Z <= x), with a small relative error where it is small."""
    if not _ELEMENTARY.get():
        return 0.5 * tf.math.erfc(-math.sqrt(0.5) * x)
    scaled = math.sqrt(0.5) * tf.abs(x)
    t = 1.0 / (1.0 + 0.5 * scaled)
    tail = 0.5 * t * tf.exp(_polynomial(_ERFC, t) - tf.square(scaled))
    return tf.where(x < 0, tail, 1.0 - tail)


def quantile(below, above):
    """x of P(Z <= x) = below = 1 - above, from the one that float32 tells better."""
    tail = tf.maximum(tf.minimum(below, above), np.finfo(np.float32).tiny)
    inverse = _lower_quantile if _ELEMENTARY.get() else tf.math.ndtri
    x = inverse(tail)
    return tf.where(below < above, x, -x)


def _lower_quantile(p):
    """The quantile of 0 < p <= 0.5."""
    q = 0.5 - p
    centre = -q * _ratio(_CENTRE, 0.180625 - tf.square(q))
    r = tf.sqrt(-tf.math.log(p))
    tail = tf.where(r <= 5.0, _ratio(_TAIL, r - 1.6), _ratio(_FAR, r - 5.0))
    return tf.where(q <= 0.425, centre, -tail)


def _ratio(of, x):
    return _polynomial(of[0], x) / _polynomial(of[1], x)


def _polynomial(coefficients, x):
    """By Horner's rule; the lowest power comes first."""
    value = coefficients[-1] * tf.ones_like(x)
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value
