"""Batch normalisation as the networks of this package use it."""

import keras
import tensorflow as tf

_MOMENTUM = 0.9
_EPSILON = 1e-5


def batch_norm() -> keras.layers.BatchNormalization:
    """A layer that normalises over the batches of all replicas together."""
    # Moments over all replicas make N replicas equal one; on a single one the
    # plain moments are cheaper and more exact.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return keras.layers.BatchNormalization(
        momentum=_MOMENTUM, epsilon=_EPSILON, synchronized=replicas > 1
    )
