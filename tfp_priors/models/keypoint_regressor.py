"""Finds the joints of a person again, to see whether samples keep the pose."""

import keras
import tensorflow as tf

from tfp_priors.core import joints
from tfp_priors.errors import UserError
from tfp_priors.learning.grouped_model import Objective
from tfp_priors.learning.grouped_model import Summary
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

    def check_data(self, image_shape, features):
        super().check_data(image_shape, features)
        if self.target not in features:
            raise UserError(
                f"The data has no keypoints to learn; it has "
                f"{', '.join(features) or 'none'}. Choose a data set with poses."
            )

    def objective_on(self, batch, step, seed):
        del step, seed
        outputs = self(batch["image"], training=True)
        scalars = self._scalars(outputs, self.feature(batch, self.target))
        return Objective(scalars["loss"], {self.quality: scalars[self.quality]})

    def _scalars(self, outputs, keypoints):
        distances, seen = _distances(outputs, keypoints)
        total = tf.maximum(tf.reduce_sum(seen), 1.0)
        return {
            "loss": tf.reduce_sum(seen * tf.square(distances)) / total,
            self.quality: tf.reduce_sum(seen * distances) / total,
        }

    def test_step(self, data):
        batch, rows = self.held_out(data)
        keypoints = self.feature(batch, self.target)
        scalars = self._scalars(self(batch["image"]), keypoints)
        # They are means over the joints that can be seen.
        return self.report(scalars, tf.reduce_sum(_seen(keypoints[:rows])))

    def summary_of(self, batch):
        scalars = self._scalars(self(batch["image"]), batch[self.target])
        return Summary({f"held_out/{name}": v for name, v in scalars.items()}, {})


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
