"""The likelihood of images under models with densities, by importance sampling."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf


def importance_weighted_bound(
    log_weight: Callable, images, draws: int, seed: int = 0
) -> np.ndarray:
    """A lower bound of log p(x) that tightens with the draws (Burda et al. 2016).

        log mean_k p(x|z_k) p(z_k) / q(z_k|x),   z_k ~ q(z|x)

    One draw gives the evidence lower bound.

    Args:
      log_weight: maps images and a stateless seed to log p(x|z) p(z) / q(z|x) at one
        draw z per image, `[batch]`, such as `model.log_importance_weight`.
      images: `[batch, height, width, channels]` in [0, 1].
      draws: number of draws per image.
      seed: of the draws.

    Returns:
      Nats, `[batch]`.
    """

    @tf.function
    def total(images):
        def add(k, logs):
            weights = log_weight(images, tf.stack([seed, k]))
            return k + 1, tf.math.reduce_logsumexp(tf.stack([logs, weights]), axis=0)

        start = tf.fill([tf.shape(images)[0]], -np.inf)
        return tf.while_loop(
            lambda k, _: k < draws, add, (0, tf.cast(start, "float32"))
        )

    _, logs = total(tf.convert_to_tensor(images))
    return logs.numpy() - math.log(draws)


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
