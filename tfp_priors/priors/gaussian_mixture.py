"""A mixture of Gaussians as a prior."""

import math

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core import normal
from tfp_priors.core import replicas
from tfp_priors.core.code_shape import LatentSize
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_within
from tfp_priors.priors.components import draw_components
from tfp_priors.priors.expectation_maximization import fit_mixture
from tfp_priors.priors.prior import Prior
from tfp_priors.priors.standardization import LatentStandardization

tfb = tfp.bijectors
tfd = tfp.distributions

_COVARIANCES = ("full", "diag")


class GaussianMixturePrior(Prior):
    """p(z) = sum_k w_k N(z; m_k, S_k), trained by gradients or by EM.

    A context changes the weights, and moves all means, by linear functions of it.

    Args:
      latent_size: dimensions of the code.
      components: number of normals.
      covariance: "full" or "diag".
      scale_floor: smallest diagonal entry of a Cholesky factor of S_k, in units of
        standard codes; without it a component could collapse onto one code.
      standardize: see `Prior`.
      context_size: see `Prior`.

    >>> prior = GaussianMixturePrior(latent_size=2, components=3, covariance="full")
    >>> history = prior.fit(np.random.RandomState(0).rand(1000, 2))
    >>> prior.sample(5, seed=0).shape
    TensorShape([5, 2])
    """

    reparameterized = False

    def __init__(
        self,
        latent_size: LatentSize,
        components: int = 10,
        covariance: str = "full",
        scale_floor: float = 1e-3,
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        **kwargs,
    ):
        super().__init__(latent_size, standardize, context_size, **kwargs)
        check_counts(type(self).__name__, components=components)
        check_within(type(self).__name__, "(0, 1)", scale_floor=scale_floor)
        if covariance not in _COVARIANCES:
            raise UserError(
                f"GaussianMixturePrior expects a covariance of {_COVARIANCES}, "
                f"received {covariance!r}."
            )
        self.components = components
        self.covariance = covariance
        self.scale_floor = scale_floor
        self._shift = (
            keras.layers.Dense(
                components + self.latent_size, kernel_initializer="zeros"
            )
            if context_size
            else None
        )

    def build(self, input_shape=None):
        k, d = self.components, self.latent_size
        self._logits = self.add_weight(name="logits", shape=(k,), initializer="zeros")
        self._means = self.add_weight(
            name="means",
            shape=(k, d),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        size = d * (d + 1) // 2 if self.covariance == "full" else d
        self._raw_scales = self.add_weight(
            name="raw_scales", shape=(k, size), initializer="zeros"
        )
        unit = np.eye(d) if self.covariance == "full" else np.ones(d)
        self._raw_scales.assign(np.tile(self._raw(unit.astype(np.float32)), (k, 1)))
        if self._shift is not None:
            self._shift.build((None, self.context_size))
        super().build(input_shape)

    def _scale_bijector(self):
        return tfb.FillScaleTriL(
            diag_bijector=tfb.Softplus(), diag_shift=self.scale_floor
        )

    def _raw(self, scales):
        """The inverse of `_scales`."""
        if self.covariance == "full":
            return self._scale_bijector().inverse(scales)
        return tfp.math.softplus_inverse(scales - self.scale_floor)

    def _weights_and_shift(self, context):
        """Logits `[..., components]` and shifts of all means `[..., latent_size]`."""
        logits = tf.identity(self._logits)
        if context is None:
            return logits, tf.zeros([self.latent_size])
        sizes = [self.components, self.latent_size]
        moved, shift = tf.split(self._shift(context), sizes, axis=-1)
        return logits + moved, shift

    def _scales(self):
        """Cholesky factors `[k, d, d]`, or standard deviations `[k, d]`."""
        raw = tf.identity(self._raw_scales)
        if self.covariance == "full":
            return self._scale_bijector().forward(raw)
        return self.scale_floor + tf.nn.softplus(raw)

    def standard_distribution(self, context=None, temperature=1.0):
        logits, shift = self._weights_and_shift(context)
        means = self._means + shift[..., None, :]
        scales = tf.cast(temperature, tf.float32) * self._scales()
        if self.covariance == "full":
            components = tfd.MultivariateNormalTriL(means, scales)
        else:
            components = tfd.MultivariateNormalDiag(means, scales)
        return tfd.MixtureSameFamily(tfd.Categorical(logits=logits), components)

    def standard_sample(self, n, seed, temperature=1.0, context=None):
        seeds = tf.random.experimental.stateless_split(seed, 2)
        logits, shift = self._weights_and_shift(context)
        which = draw_components(logits, n, seeds[0])
        noise = replicas.noise(n, self.latent_size, seeds[1])
        noise *= tf.cast(temperature, tf.float32)
        scales = self._scales()
        if self.covariance == "diag":
            noise *= tf.gather(scales, which)
        elif self.latent_size <= self.components:
            noise = tf.linalg.matvec(tf.gather(scales, which), noise)
        else:
            # A factor for each draw would be larger.
            of_all = tf.einsum("kij,nj->nki", scales, noise)
            noise = tf.gather(of_all, which, batch_dims=1)
        return tf.gather(tf.identity(self._means), which) + shift + noise

    def _log_prob(self, z, context):
        logits, shift = self._weights_and_shift(context)
        standard, log_det = self.standardization(z)
        standard -= shift  # [B, D]
        scales = self._scales()
        if self.covariance == "full":
            log_normals = self._log_normals(standard, scales)
        else:
            log_normals = normal.log_probs(standard, self._means, scales)
        log_joint = tf.nn.log_softmax(logits) + log_normals  # [B, K]
        return tf.reduce_logsumexp(log_joint, axis=-1) + log_det

    def _log_normals(self, x, factors):
        """log N(x; means[k], factors[k] factors[k]'), `[batch, components]`."""
        # TFP solves a triangular system per code and component.
        eye = tf.eye(self.latent_size, batch_shape=[self.components])
        inverses = tf.linalg.triangular_solve(factors, eye)  # [K, D, D]
        shifts = tf.linalg.matvec(inverses, tf.identity(self._means))
        white = normal.whitened(x, inverses, shifts)
        log_det = tf.reduce_sum(tf.math.log(tf.linalg.diag_part(factors)), axis=-1)
        squares = tf.square(white) + math.log(2.0 * math.pi)
        return -0.5 * tf.reduce_sum(squares, axis=-1) - log_det

    @property
    def learns_by_steps(self):
        return bool(self.context_size)

    def fit_directly(self, codes, iterations, seed):
        """Fits the mixture by expectation maximisation."""
        mixture = fit_mixture(
            np.asarray(self.standardized(codes.astype(np.float32))),
            self.components,
            iterations,
            seed,
            floor=1e-6 + 4 * self.scale_floor**2,
            diagonal=self.covariance == "diag",
        )
        root = np.linalg.cholesky if self.covariance == "full" else np.sqrt
        self._logits.assign(np.log(mixture.weights))
        self._means.assign(mixture.means)
        scales = root(mixture.covariances).astype(np.float32)
        self._raw_scales.assign(self._raw(scales))
