"""The base class of models that read something off an image."""

from typing import Any

import keras
import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.image_shape import image_shape_of
from tfp_priors.errors import UserError
from tfp_priors.learning.batches import check_images
from tfp_priors.learning.batches import checked
from tfp_priors.learning.grouped_model import GroupedModel
from tfp_priors.learning.grouped_model import Summary
from tfp_priors.models.network_shapes import build_network
from tfp_priors.models.network_shapes import output_shape


class Predictor(GroupedModel):
    """Images to features and, by one dense layer, to outputs.

    Its one group of variables is "classifier". A subclass says with `target` which
    feature of the data it learns, and defines `objective_on` and `_scalars`.

    Args:
      network: layer, images to features `[batch, size]`: with an `image_shape`, or a
        Keras model of images.
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
        self._image_shape = image_shape_of(network)
        self.build((None, *self._image_shape))

    @property
    def image_shape(self):
        return self._image_shape

    @property
    def target(self) -> str:
        """The feature of the data that it learns."""
        raise NotImplementedError

    def check_data(self, image_shape, features):
        super().check_data(image_shape, features)
        if self.target not in features:
            raise UserError(
                f"The data has no feature {self.target!r} for the "
                f"{type(self).__name__} to learn; it has "
                f"{', '.join(features) or 'none'}: choose a data set that has it."
            )

    def build(self, input_shape):
        images = tf.TensorSpec((None, *self.image_shape))
        features_shape = output_shape("network", self.network, images)
        build_network(self.network, images)
        if len(features_shape) != 2:
            raise UserError(
                f"Expected a network of features [batch, size], received one of "
                f"{tuple(features_shape)}: end it with keras.layers.Flatten()."
            )
        self._head.build(features_shape)
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
        return tf.cast(self.network(checked(images), training=training), tf.float32)

    def activations(self, images) -> tuple[Any, Any]:
        """Images to features `[batch, size]` and outputs."""
        features = self._features(images)
        return features, self._head(features)

    # On held-out data ----------------------------------------------------------

    def _scalars(self, outputs, targets) -> dict[str, Any]:
        """The means of its metrics over a batch: "loss" and `quality`."""
        raise NotImplementedError

    def _count(self, targets):
        """How many values `_scalars` are means of: one for each row."""
        return replicas.size(targets)

    def test_step(self, data):
        batch, rows = self.padded_batch(data)
        targets = self.feature(batch, self.target)
        scalars = self._scalars(self(batch["image"]), targets)
        return self.report(scalars, self._count(targets[:rows]))

    def summary_of(self, batch):
        scalars = self._scalars(self(batch["image"]), batch[self.target])
        named = {f"held_out/{name}": value for name, value in scalars.items()}
        return Summary(named, {})
