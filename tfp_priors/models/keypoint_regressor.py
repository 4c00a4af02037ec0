"""Finds the joints of a person again, to see whether samples keep the pose."""

import keras
import tensorflow as tf

from tfp_priors.core import joints
from tfp_priors.core import replicas
from tfp_priors.learning.grouped_model import Objective
from tfp_priors.models.predictor import Predictor


class KeypointRegressor(Predictor):
    """Images to the places of the joints that can be seen.

    Trained on the squared distance in units of the image's side, a mean over joints.

    Args:
      network: layer, images to features `[batch, size]`; has an `image_shape`.
      seed: of nothing here; every model has one.
    """

    quality = "distance"
    target = "keypoints"

    def __init__(self, network: keras.layers.Layer, seed: int = 0, **kwargs):
        super().__init__(network, 2 * len(joints.JOINTS), seed, **kwargs)

    def objective_on(self, batch, step, seed):
        del step, seed
        keypoints = self.feature(batch, self.target)
        outputs = self(batch["image"], training=True)
        # A mean over the joints of all replicas, of which some can see more.
        total = replicas.mean(self._count(keypoints))
        scalars = self._scalars(outputs, keypoints, total)
        return Objective(scalars.pop("loss"), scalars)

    def _scalars(self, outputs, targets, total=None):
        distances, seen = _distances(outputs, targets)
        total = tf.reduce_sum(seen) if total is None else total
        return {
            name: tf.math.divide_no_nan(tf.reduce_sum(seen * values), total)
            for name, values in (
                ("loss", tf.square(distances)),
                (self.quality, distances),
            )
        }

    def _count(self, targets):
        """The joints that can be seen."""
        return tf.reduce_sum(_seen(targets))


def _distances(outputs, keypoints):
    """How far joints are from where they should be.

    Args:
      outputs: of a `KeypointRegressor`, `[batch, 30]`.
      keypoints: `[batch, 15, 2]`.

    Returns:
      Distances in units of the image's side and which joints can be seen, floats, both
      `[batch, 15]`.
    """
    keypoints = tf.cast(keypoints, tf.float32)
    offsets = tf.reshape(outputs, tf.shape(keypoints)) - keypoints
    # The root's gradient is infinite at 0.
    distances = tf.sqrt(tf.reduce_sum(tf.square(offsets), axis=-1) + 1e-12)
    return distances, _seen(keypoints)


def _seen(keypoints):
    """1.0 for each joint that can be seen, `[batch, 15]`."""
    return tf.cast(tf.reduce_all(keypoints >= 0, axis=-1), tf.float32)
