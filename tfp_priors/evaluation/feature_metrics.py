"""Distances and scores of images by the features of a classifier, through TF-GAN.

With the features and logits of the Inception network they are FID, KID and Inception
score; with those of any other classifier they must not be called so.
"""

import math
import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfp_priors.core.estimate import Estimate
from tfp_priors.errors import UserError
from tfp_priors.evaluation.tfgan import classifier_metrics


class Moments(NamedTuple):
    """Mean and covariance of features, in float64.

    Attributes:
      mean: `[size]`.
      covariance: `[size, size]`, with denominator n - 1.
      n: number of images.
    """

    mean: np.ndarray
    covariance: np.ndarray
    n: int


def moments(chunks: Iterable[np.ndarray]) -> Moments:
    """The moments of features that come in chunks, of which one is held at a time.

    Args:
      chunks: features `[n, size]`, not all empty.

    Raises:
      UserError: if they hold NaN or infinity, or there are fewer than two.
    """
    n, mean, scatter = 0, 0.0, 0.0
    for chunk in chunks:
        chunk = np.asarray(chunk, np.float64)
        if not np.isfinite(chunk).all():
            raise UserError("The features hold NaN or infinity: look at the images.")
        # Chan et al. 1983: the scatter about the common mean, without cancellation.
        chunk_mean = chunk.mean(0)
        centred = chunk - chunk_mean
        step = chunk_mean - mean
        total = n + len(chunk)
        scatter = (
            scatter
            + centred.T @ centred
            + np.multiply.outer(step, step) * (n * len(chunk) / total)
        )
        mean = mean + step * (len(chunk) / total)
        n = total
    if n < 2:
        raise UserError(
            f"A covariance needs at least 2 images, received {n}: give more."
        )
    return Moments(mean, scatter / (n - 1), n)


def frechet_distance_of_moments(real: Moments, samples: Moments) -> float:
    """The Frechet distance between two normals; see `frechet_distance`."""
    if real.mean.shape != samples.mean.shape:
        raise UserError(
            f"Features of one size are needed, received {real.mean.size} and "
            f"{samples.mean.size}: use one extractor for both."
        )
    size, n = real.mean.size, min(real.n, samples.n)
    if n <= size:
        warnings.warn(
            f"{n} images have a singular covariance of {size} features, and their "
            f"Frechet distance a large bias: at least {size + 1} are needed, and "
            "several times as many are better.",
            stacklevel=2,
        )
    covariances = real.covariance, samples.covariance
    root = classifier_metrics().trace_sqrt_product(*map(_float64, covariances))
    traces = sum(np.trace(covariance) for covariance in covariances)
    shift = np.sum(np.square(real.mean - samples.mean))
    # Equal sets may come out just below 0.
    return max(float(shift + traces - 2.0 * float(root)), 0.0)


def frechet_distance(real: np.ndarray, samples: np.ndarray) -> float:
    """The Frechet distance between normals fitted to features (Heusel et al. 2017).

        |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))

    Its bias falls with the numbers of samples, so compare at equal numbers only.

    Args:
      real: features `[n, size]`.
      samples: features `[m, size]`.

    Raises:
      UserError: if they are not finite or differ in size. Warns if there are fewer
        images than features.
    """
    return frechet_distance_of_moments(moments([real]), moments([samples]))


def kernel_distance(
    real: np.ndarray, samples: np.ndarray, block_size: int = 1000
) -> Estimate:
    """The squared MMD with the kernel (x.y / size + 1)^3 (Binkowski et al. 2018).

    Unbiased, so it may be negative; the features are compared block by block, in their
    order, which must be random.

    Args:
      real: features `[n, size]`.
      samples: features `[m, size]`.
      block_size: largest block; larger where the smaller set would have blocks of
        less than 2.

    Returns:
      The squared MMD, and its standard error over blocks, NaN for a single one.

    Raises:
      UserError: if there are fewer than 2 of a kind.
    """
    least, most = sorted((len(real), len(samples)))
    if least < 2:
        raise UserError(
            "A kernel distance needs at least 2 real images and 2 samples, received "
            f"{len(real)} and {len(samples)}: give more."
        )
    blocks = min(math.ceil(most / block_size), least // 2)
    block_size = math.ceil(most / blocks)
    distance = classifier_metrics().kernel_classifier_distance_and_std_from_activations
    value, error = distance(_float64(real), _float64(samples), block_size)
    return Estimate(float(value), float(error))


def classifier_score(logits: np.ndarray) -> float:
    """exp(E[KL(p(y|x) || p(y))]) (Salimans et al. 2016).

    It lies between 1 and the number of classes.

    Args:
      logits: `[n, classes]`.
    """
    return float(classifier_metrics().classifier_score_from_logits(_float64(logits)))


def _float64(values):
    return tf.constant(np.asarray(values, np.float64))
