"""A map of codes to N(0, I) that is exact for a mixture of normals."""

import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core import normal
from tfp_priors.core.by_rows import by_rows
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.priors.expectation_maximization import Mixture
from tfp_priors.priors.expectation_maximization import fit_mixture
from tfp_priors.priors.expectation_maximization import whitening
from tfp_priors.priors.standardization import LatentStandardization

tfb = tfp.bijectors

# Codes per component and dimension, at least: with fewer a mixture overfits.
_CODES_PER_DIMENSION = 20

# Codes by which each covariance is drawn to the mean of all.
_SHRINKAGE = 5.0

_FLOOR = 5e-6
_ITERATIONS = 100

# Beyond this a tail of the normal is 0 in float32.
_FARTHEST = 12.0

_LEAST = np.finfo(np.float32).tiny

# The log-weight of a component that is not there.
_ABSENT = -1e4


class MixtureStandardization(LatentStandardization):
    """Gives codes of a mixture of normals the distribution N(0, I).

    After zero mean and unit variance each dimension goes through its distribution
    function given those before it, and through the normal quantile (Rosenblatt 1952).
    The mixture is found by EM in `fit`; until then this is a `LatentStandardization`.
    Of fewer than 20 codes for each dimension it is one normal.
    A prior on top of it begins at the likelihood of the mixture, and learns the rest.

    Args:
      components: number of normals at most; fewer if codes are few.
      decay: see `LatentStandardization`.

    >>> standardization = MixtureStandardization(components=4)
    >>> standardization.build((None, 2))
    >>> codes = np.random.RandomState(0).rand(1000, 2).astype("float32")
    >>> standardization.fit(codes, seed=0)
    >>> standardization(codes).shape  # distributed about as N(0, I)
    TensorShape([1000, 2])
    """

    is_costly = True

    def __init__(self, components: int = 256, decay: float = 0.99, **kwargs):
        super().__init__(decay, **kwargs)
        check_counts(type(self).__name__, components=components)
        self.components = components

    def build(self, input_shape):
        super().build(input_shape)
        if len(input_shape) > 2:
            raise UserError(
                "MixtureStandardization expects codes that are vectors, received maps "
                f"of {tuple(input_shape[1:])}: set standardize = True."
            )
        k, d = self.components, input_shape[-1]
        self.latent_size = d
        state = {"trainable": False, "initializer": "zeros"}
        # Log-weights have the log-determinants of the inverse factors in them.
        self._constants = self.add_weight(name="constants", shape=(k,), **state)
        self._shifts = self.add_weight(name="shifts", shape=(k, d), **state)
        self._inverses = self.add_weight(name="inverses", shape=(k, d, d), **state)
        self._forget()

    def fit(self, codes, seed):
        """Sets the moments, and fits the mixture.

        With fewer than 20 codes for each dimension it is one normal, whose covariance
        is the shrunk one of Ledoit & Wolf (2004); with 2 or fewer it stays N(0, I).
        """
        super().fit(codes, seed)
        self._forget()
        most = len(codes) // (_CODES_PER_DIMENSION * self.latent_size)
        present = min(self.components, most)
        codes = (codes - self.mean.numpy()) / self._scale().numpy()
        if present:
            mixture = fit_mixture(codes, present, _ITERATIONS, seed, _FLOOR, _SHRINKAGE)
        elif len(codes) > 2 * self.latent_size:
            mixture = _shrunk_normal(codes)
        else:
            return
        inverses, constants = whitening(mixture)
        shifts = np.einsum("kij,kj->ki", inverses, mixture.means)
        self._assign(constants, shifts, inverses)

    def _forget(self):
        """One standard normal, which is `LatentStandardization`."""
        d = self.latent_size
        self._assign(np.zeros(1), np.zeros((1, d)), np.eye(d)[None])

    def _assign(self, constants, shifts, inverses):
        """Sets the components, and leaves the others out."""
        absent = self.components - len(constants)
        self._constants.assign(np.pad(constants, (0, absent), constant_values=_ABSENT))
        self._shifts.assign(np.pad(shifts, ((0, absent), (0, 0))))
        self._inverses.assign(np.pad(inverses, ((0, absent), (0, 0), (0, 0))))

    def _present(self):
        """Constants, shifts and inverses of the components that are there."""
        constants = tf.identity(self._constants)
        number = tf.math.count_nonzero(constants > _ABSENT, dtype=tf.int32)
        return [v[:number] for v in (constants, self._shifts, self._inverses)]

    def _inverse_scales(self, inverses):
        """Their diagonals, by operations that all runtimes have."""
        return tf.reduce_sum(inverses * tf.eye(self.latent_size), axis=-1)

    def bijector(self):
        return tfb.Chain([super().bijector(), _Rosenblatt(self)])

    def to_normal(self, u):
        """u, `[batch, latent_size]`, to N(0, I), and log p(u) in nats, `[batch]`."""
        constants, shifts, inverses = self._present()
        white = normal.whitened(u, inverses, shifts)
        scales = self._inverse_scales(inverses)  # [k, d]
        log_densities = tf.math.log(scales) - 0.5 * (
            tf.square(white) + math.log(2.0 * math.pi)
        )
        seen = tf.cumsum(log_densities, axis=-1, exclusive=True)
        # The weights have no determinants in them here: each dimension brings its own.
        weights = _log_weights(constants, scales)
        shares = tf.nn.softmax(weights[:, None] + seen, axis=1)
        tail = normal.cdf(-tf.abs(white))
        below = tf.reduce_sum(shares * tf.where(white < 0, tail, 1.0 - tail), axis=1)
        above = tf.reduce_sum(shares * tf.where(white < 0, 1.0 - tail, tail), axis=1)
        log_joint = weights + tf.reduce_sum(log_densities, axis=-1)
        return normal.quantile(below, above), tf.reduce_logsumexp(log_joint, axis=-1)

    def from_normal(self, z0):
        """The inverse of `to_normal`: an equation per dimension, one by one."""

        # Op by op the loops of a solution take seconds.
        solve = self._compiled_solution if tf.executing_eagerly() else self._solution

        @tf.custom_gradient
        def mapped(z0):
            u = solve(z0)

            def gradient(upstream):
                # dz0 / du is lower triangular, so du / dz0 takes one solution.
                with tf.GradientTape() as tape:
                    tape.watch(u)
                    base, _ = self.to_normal(u)
                jacobian = tape.batch_jacobian(base, u)
                solved = tf.linalg.triangular_solve(
                    jacobian, upstream[..., None], adjoint=True
                )
                return solved[..., 0]

            return u, gradient

        return mapped(z0)

    @tf.function(reduce_retracing=True, autograph=False)
    def _compiled_solution(self, z0):
        return self._solution(z0)

    def _solution(self, z0):
        z0 = tf.clip_by_value(z0, -_FARTHEST, _FARTHEST)
        constants, shifts, inverses = self._present()
        scales = self._inverse_scales(inverses)
        log_weights = _log_weights(constants, scales)
        batch = tf.shape(z0)[0]

        def body(i, u, seen):
            # Given the dimensions before, component k is N(means, 1 / scale).
            row, scale = inverses[:, i], scales[:, i]  # [k, d], [k]
            known = tf.matmul(u, row, transpose_b=True) - shifts[:, i]
            means = -known / scale  # [batch, k]
            shares = tf.nn.softmax(log_weights + seen, axis=-1)
            x = _root(shares, means, 1.0 / scale, z0[:, i])
            white = (x[:, None] - means) * scale
            log_density = tf.math.log(scale) - 0.5 * tf.square(white)
            u += x[:, None] * tf.one_hot(i, self.latent_size)
            # A batch of known size stays one: the root is found in another loop.
            u = tf.ensure_shape(u, z0.shape)
            return i + 1, u, seen + log_density

        start = (0, tf.zeros_like(z0), tf.zeros([batch, tf.size(constants)]))
        shapes = (tf.TensorShape([]), z0.shape, tf.TensorShape([None, None]))
        _, u, _ = tf.while_loop(lambda i, *_: i < self.latent_size, body, start, shapes)
        return u


def _shrunk_normal(codes):
    """A normal of few codes, as a mixture of one."""
    from sklearn.covariance import ledoit_wolf

    covariance, _ = ledoit_wolf(codes.astype(np.float64))
    covariance += _FLOOR * np.eye(len(covariance))
    return Mixture(np.ones(1), codes.mean(0)[None], covariance[None])


class _Rosenblatt(tfb.Bijector):
    """z0 of N(0, I) to u of the mixture."""

    def __init__(self, mixture):
        super().__init__(forward_min_event_ndims=1, name="rosenblatt")
        self._mixture = mixture
        self._last = None, None

    def _forward(self, z0):
        return by_rows(lambda z0, _: self._mixture.from_normal(z0), z0)

    def _inverse(self, u):
        return self._solution(u)[0]

    def _inverse_log_det_jacobian(self, u):
        z0, log_prob = self._solution(u)
        squares = tf.square(z0) + math.log(2.0 * math.pi)
        return log_prob + 0.5 * tf.reduce_sum(squares, axis=-1)

    def _solution(self, u):
        # Both are asked of the same codes, one after the other.
        if self._last[0] is not u:
            solution = by_rows(lambda u, _: tuple(self._mixture.to_normal(u)), u)
            self._last = u, solution
        return self._last[1]


def _log_weights(constants, scales):
    """Log-weights without the determinants that `constants` has in them."""
    return constants - tf.reduce_sum(tf.math.log(scales), axis=-1)


def _root(shares, means, scales, z0):
    """x of each row with sum_k shares Phi((x - means) / scales) = Phi(z0)."""
    quantiles = means + scales * z0[:, None]
    low, high = tf.reduce_min(quantiles, -1), tf.reduce_max(quantiles, -1)
    sign = tf.where(z0 < 0, 1.0, -1.0)  # The smaller tail.
    log_tail = tf.math.log(normal.cdf(-tf.abs(z0)))
    slopes = sign[:, None] / scales
    shifts = slopes * means

    def excess(x):
        # The logarithm of a tail bends less than the tail: half of the iterations.
        tail = tf.reduce_sum(shares * normal.cdf(slopes * x[:, None] - shifts), axis=-1)
        return sign * (tf.math.log(tf.maximum(tail, _LEAST)) - log_tail)

    # Widened: rounding must not put the root outside.
    margin = 1e-5 + 1e-5 * tf.maximum(tf.abs(low), tf.abs(high))
    return tfp.math.find_root_chandrupatla(
        excess,
        low - margin,
        high + margin,
        position_tolerance=1e-7,
        # What float32 can tell.
        value_tolerance=1e-6,
        max_iterations=20,
    ).estimated_root
