"""Distances and scores of images by the features of a classifier, through TF-GAN.

With the features and logits of the Inception network they are FID, KID and Inception
score; with those of any other classifier they must not be called so.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfp_priors.evaluation.tfgan import classifier_metrics


class Estimate(NamedTuple):
    """A value and its standard error."""

    value: float
    standard_error: float


def frechet_distance(real: np.ndarray, samples: np.ndarray) -> float:
    """The Frechet distance between normals fitted to features (Heusel et al. 2017).

        |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))

    Its bias falls with the numbers of samples, so compare at equal numbers only.

    Args:
      real: features `[n, size]`.
      samples: features `[m, size]`.
    """
    distance = classifier_metrics().frechet_classifier_distance_from_activations
    return float(distance(_float64(real), _float64(samples)))


def kernel_distance(
    real: np.ndarray, samples: np.ndarray, block_size: int = 1000
) -> Estimate:
    """The squared MMD with the kernel (x.y / size + 1)^3 (Binkowski et al. 2018).

    Unbiased, so it may be negative; the features are compared block by block, in their
    order, which must be random.

    Args:
      real: features `[n, size]`.
      samples: features `[m, size]`.
      block_size: largest block.
    """
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
    return tf.constant(values, tf.float64)
