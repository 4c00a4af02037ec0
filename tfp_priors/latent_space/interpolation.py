"""Linear and spherical interpolation between vectors."""

import numpy as np

from tfp_priors.errors import UserError

# Radians: nearer to pi than this, rounding would choose the great circle.
_OPPOSITE = 1e-6


def lerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Linear interpolation, (1 - t) * a + t * b.

    Args:
      a: vectors at t = 0, `[..., d]`.
      b: vectors at t = 1, `[..., d]`, of a shape that broadcasts with a's.
      t: `[steps]`; values beyond [0, 1] go on along the line.

    Returns:
      `[steps, ..., d]`, in a's and b's precision; exactly a at 0 and b at 1.

    Raises:
      UserError: if the shapes of a and b do not fit, or t is not `[steps]`.
    """
    a, b, t, dtype = _arguments(a, b, t)
    return ((1 - t) * a + t * b).astype(dtype)


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical interpolation as in White 2016, "Sampling Generative Networks".

        (sin((1 - t) * angle) * a + sin(t * angle) * b) / sin(angle)

    where angle, in [0, pi], is the one between a and b. Vectors of equal norm are
    joined by a great circle, along which the norm stays; the norm of others changes
    smoothly, and goes far beyond both where they are also nearly opposite. Small
    angles make it `lerp`, and so do vectors that no one great circle joins: opposite
    ones, and one of norm 0.

    Args:
      a: vectors at t = 0, `[..., d]`.
      b: vectors at t = 1, `[..., d]`, of a shape that broadcasts with a's.
      t: `[steps]`.

    Returns:
      `[steps, ..., d]`, in a's and b's precision; exactly a at 0 and b at 1.

    Raises:
      UserError: if the shapes of a and b do not fit, or t is not `[steps]`.
    """
    a, b, t, dtype = _arguments(a, b, t)
    norm_a = np.linalg.norm(a, axis=-1, keepdims=True)  # [..., 1]
    norm_b = np.linalg.norm(b, axis=-1, keepdims=True)
    unit_a = a / np.where(norm_a > 0, norm_a, 1.0)
    unit_b = b / np.where(norm_b > 0, norm_b, 1.0)
    # Precise for all angles; the arc cosine is not, near 0 and pi.
    half = np.arctan2(
        np.linalg.norm(unit_a - unit_b, axis=-1, keepdims=True),
        np.linalg.norm(unit_a + unit_b, axis=-1, keepdims=True),
    )
    is_circle = (norm_a > 0) & (norm_b > 0) & (2 * half <= np.pi - _OPPOSITE)
    angle = np.where(is_circle, 2 * half, 0.0)
    # sin(t * angle) / sin(angle) without a division by zero: t if the angle is 0.
    sinc = np.sinc(angle / np.pi)
    weight_a = (1 - t) * np.sinc((1 - t) * angle / np.pi) / sinc
    weight_b = t * np.sinc(t * angle / np.pi) / sinc
    return (weight_a * a + weight_b * b).astype(dtype)


def _arguments(a, b, t):
    """a and b broadcast, t as `[steps, 1, ..., 1]`, all in double, and the dtype."""
    a, b, t = np.asarray(a), np.asarray(b), np.asarray(t, np.float64)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        shape = ()
    if not shape or a.shape[-1:] != b.shape[-1:]:
        raise UserError(
            f"a and b must be vectors of one size, [..., d], received shapes {a.shape} "
            f"and {b.shape}: give two codes, or as many of one as of the other."
        )
    if t.ndim != 1:
        raise UserError(
            f"t must have shape [steps], received shape {t.shape}: give one row of "
            "numbers."
        )
    dtype = np.result_type(a, b, np.float32)
    a, b = (np.broadcast_to(value, shape).astype(np.float64) for value in (a, b))
    return a, b, t.reshape(-1, *[1] * len(shape)), dtype
