"""The base class of models that read something off an image."""

from typing import Any

import keras
import tensorflow as tf

from tfp_priors.learning.batches import check_images
from tfp_priors.learning.batches import scaled
from tfp_priors.learning.grouped_model import GroupedModel


class Predictor(GroupedModel):
    """Images to features and, by one dense layer, to outputs.

    Its one group of variables is "classifier". A subclass says with `target` which
    feature of the data it learns, and names its metrics "loss" and `quality`.

    Args:
      network: layer, images to features `[batch, size]`; has an `image_shape`.
      outputs: width of the outputs.
      seed: of what is drawn in training.
    """

    #: The name of its metric beside the loss.
    quality = "accuracy"

    def __init__(
        self, network: keras.layers.Layer, outputs: int, seed: int = 0, **kwargs
    ):
        super().__init__(**kwargs)
        self.network = network
        self.seed = seed
        self._head = keras.layers.Dense(outputs)
        self.build((None, *network.image_shape))

    @property
    def image_shape(self):
        return self.network.image_shape

    @property
    def target(self) -> str:
        """The feature of the data that it learns."""
        raise NotImplementedError

    def build(self, input_shape):
        if not self.network.built:
            self.network.build(input_shape)
        self._head.build(self.network.compute_output_shape(input_shape))
        self.track(["loss", self.quality])
        self.built = True

    def networks(self):
        return [self.network]

    def variable_groups(self):
        return {
            "classifier": [
                *self.network.trainable_variables,
                *self._head.trainable_variables,
            ]
        }

    def call(self, images, training=False):
        """Images to outputs, `[batch, outputs]`."""
        return self._head(self._features(images, training))

    def _features(self, images, training=False):
        """Features, float32 whatever the network computes in."""
        check_images(images, self.image_shape)
        return tf.cast(self.network(scaled(images), training=training), tf.float32)

    def activations(self, images) -> tuple[Any, Any]:
        """Images to features `[batch, size]` and outputs."""
        features = self._features(images)
        return features, self._head(features)
