"""Codes of a data set."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfp_priors.data import ImageDataset


def encode_dataset(
    encode: Callable, dataset: ImageDataset, batch_size: int = 500
) -> np.ndarray:
    """The codes of all images in their stored order.

    Args:
      encode: maps images `[batch, height, width, channels]` in [0, 1] to codes.
      dataset: the images.
      batch_size: images per call.

    Returns:
      Float array `[dataset.size, latent_size]`.
    """
    compiled = tf.function(encode, reduce_retracing=True)
    batches = dataset.batches(batch_size)
    return np.concatenate([compiled(batch["image"]).numpy() for batch in batches])
