"""The likelihood of images under models with densities, and where it is lost."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.latent_space.rows import finite_rows
from tfp_priors.posteriors import ACTIVE_VARIANCE


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
      log_terms: maps images and a stateless seed to log p(x|z), log p(z) and
        log q(z|x) at one draw z of q(z|x) per image, each `[batch]`, such as
        `model.log_terms`.
      images: `[n, height, width, channels]` in [0, 1].
      draws: number of draws per image.
      seed: of the draws.
      batch_size: images that `log_terms` gets at once; the draws depend on it.

    Returns:
      Nats, `[n]`.

    Raises:
      UserError: if there are no draws.
    """

    def log_weight(images, seed):
        log_likelihood, log_prior, log_posterior = log_terms(images, seed)
        return log_likelihood + log_prior - log_posterior

    def add(total, weights):
        return tf.reduce_logsumexp(tf.stack([total, weights]), axis=0)

    total = _over_draws(log_weight, add, images, draws, seed, batch_size)
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

    def rate_and_distortion_at_draw(images, seed):
        log_likelihood, log_prior, log_posterior = log_terms(images, seed)
        return tf.stack([log_posterior - log_prior, -log_likelihood], axis=-1)

    total = _over_draws(
        rate_and_distortion_at_draw, tf.add, images, draws, seed, batch_size
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


def _over_draws(function, add, images, draws, seed, batch_size):
    """Adds function(batch, seed) up over draws, for every batch of the images."""
    if draws < 1:
        raise UserError(f"draws must be at least 1, received {draws}: ask for more.")

    @tf.function
    def batch_total(batch, first):
        def value(k):
            return tf.cast(function(batch, tf.stack([seed, first + k])), tf.float64)

        return tf.while_loop(
            lambda k, _: k < draws,
            lambda k, total: (k + 1, add(total, value(k))),
            (1, value(0)),
        )

    images = tf.convert_to_tensor(images)
    totals = []
    for i, start in enumerate(range(0, len(images), batch_size)):
        # Every batch has noise of its own.
        first = tf.constant(i * draws)
        _, total = batch_total(images[start : start + batch_size], first)
        totals.append(total.numpy())
    return np.concatenate(totals)
