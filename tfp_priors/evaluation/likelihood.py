"""The likelihood of images under models with densities, and where it is lost."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.latent_space.rows import finite_rows
from tfp_priors.posteriors import ACTIVE_VARIANCE

# Values of images that are decoded together, over all draws.
_VALUES_AT_ONCE = 10**6


class RateDistortion(NamedTuple):
    """The two parts of the evidence lower bound, -(rate + distortion).

    Attributes:
      rate: E_q[log q(z|x) - log p(z)], nats, `[n]`. Its mean over the data is the
        mutual information of image and code plus KL[q(z) || p(z)], the prior's miss.
      distortion: -E_q[log p(x|z)], nats, `[n]`.
    """

    rate: np.ndarray
    distortion: np.ndarray


def importance_weighted_bound(
    log_terms: Callable, images, draws: int, seed: int = 0, batch_size: int = 100
) -> np.ndarray:
    """A lower bound of log p(x) that tightens with the draws (Burda et al. 2016).

        log mean_k p(x|z_k) p(z_k) / q(z_k|x),   z_k ~ q(z|x)

    One draw gives the evidence lower bound.

    Args:
      log_terms: maps images, a stateless seed and a number of draws z of q(z|x) for
        each image to log p(x|z), log p(z) and log q(z|x), each `[draws, batch]`, such
        as `model.log_terms`.
      images: `[n, height, width, channels]` in [0, 1].
      draws: number of draws per image.
      seed: of the draws.
      batch_size: images that `log_terms` gets at once; the draws depend on it.

    Returns:
      Nats, `[n]`.

    Raises:
      UserError: if there are no draws.
    """

    def log_weights(*given):
        log_likelihood, log_prior, log_posterior = log_terms(*given)
        return log_likelihood + log_prior - log_posterior

    total = _over_draws(
        log_weights, tf.reduce_logsumexp, images, draws, seed, batch_size
    )
    return total - math.log(draws)


def rate_and_distortion(
    log_terms: Callable, images, draws: int, seed: int = 0, batch_size: int = 100
) -> RateDistortion:
    """Splits the evidence lower bound of each image (Alemi et al. 2018).

    Args:
      log_terms: see `importance_weighted_bound`.
      images: `[n, height, width, channels]` in [0, 1].
      draws: number of draws per image; the expectations are their means.
      seed: of the draws.
      batch_size: images that `log_terms` gets at once; the draws depend on it.

    Raises:
      UserError: if there are no draws.
    """

    def rates_and_distortions(*given):
        log_likelihood, log_prior, log_posterior = log_terms(*given)
        return tf.stack([log_posterior - log_prior, -log_likelihood], axis=-1)

    total = _over_draws(
        rates_and_distortions, tf.reduce_sum, images, draws, seed, batch_size
    )
    rate, distortion = total.T / draws
    return RateDistortion(rate, distortion)


def active_units(
    posterior_means: np.ndarray, threshold: float = ACTIVE_VARIANCE
) -> int:
    """The latent dimensions that depend on the image (Burda et al. 2016).

    Args:
      posterior_means: means of q(z|x), `[n, latent_size]`.
      threshold: variance of the mean over the images above which a dimension counts;
        it supposes a prior of unit scale.

    Raises:
      UserError: if values are not finite.
    """
    variances = finite_rows("posterior_means", posterior_means).var(axis=0)
    return int(np.sum(variances > threshold))


def bits_per_dimension(
    nats: np.ndarray, dimensions: int, levels: int = 1
) -> np.ndarray:
    """-log p(x) / (dimensions * log 2), for densities of pixels in [0, 1].

    Args:
      nats: log p(x).
      dimensions: values per image.
      levels: 256 turns the density of a pixel in [0, 1] into that of one in [0, 256],
        which is what published numbers refer to; 1 leaves it.
    """
    return -nats / (dimensions * math.log(2.0)) + math.log2(levels)


def _over_draws(function, reduce, images, draws, seed, batch_size):
    """Adds function(batch, seed, draws) up over draws, for every batch of the images.

    Args:
      reduce: adds up along an axis.
    """
    if draws < 1:
        raise UserError(f"draws must be at least 1, received {draws}: ask for more.")
    images = tf.convert_to_tensor(images)
    values = max(1, tf.size(images[:batch_size]).numpy())
    most = min(draws, max(1, _VALUES_AT_ONCE // values))
    at_once = max(k for k in range(1, most + 1) if draws % k == 0)

    @tf.function(autograph=False, reduce_retracing=True)
    def batch_total(batch, first):
        def value(k):
            values = function(batch, tf.stack([seed, first + k]), at_once)
            return reduce(tf.cast(values, tf.float64), axis=0)

        def add(k, total):
            return k + at_once, reduce(tf.stack([total, value(k)]), axis=0)

        return tf.while_loop(lambda k, _: k < draws, add, (at_once, value(0)))

    totals = []
    for i, start in enumerate(range(0, len(images), batch_size)):
        # Every batch has noise of its own.
        first = tf.constant(i * draws)
        _, total = batch_total(images[start : start + batch_size], first)
        totals.append(total.numpy())
    return np.concatenate(totals)
