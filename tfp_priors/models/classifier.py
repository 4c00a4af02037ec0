"""A classifier of a data set's own labels, whose features serve the metrics."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.labels import checked_labels
from tfp_priors.core.replicas import fold_in
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_within
from tfp_priors.learning.grouped_model import Objective
from tfp_priors.models.predictor import Predictor


class Classifier(Predictor):
    """Images to logits, of classes or of binary attributes.

    Trained on the cross-entropy in nats: of a softmax over `classes`, or summed over
    independent `attributes`.

    Args:
      network: layer, images to features `[batch, size]`; has an `image_shape`.
      classes: number of classes; the data then has an integer feature "label".
      attributes: number of attributes; the data then has a feature "attributes",
        booleans `[attributes]`.
      dropout: share of the features that is dropped in training.
      shift: images move by up to so many pixels in training, along both axes.
      flip: half of the images are mirrored in training.
      seed: of dropout, shifts and flips, which are functions of it and the step.

    Raises:
      UserError: unless one of `classes` and `attributes` is given.
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        classes: int | None = None,
        attributes: int | None = None,
        dropout: float = 0.0,
        shift: int = 0,
        flip: bool = False,
        seed: int = 0,
        **kwargs,
    ):
        if (classes is None) == (attributes is None):
            raise UserError(
                "Classifier expects one of classes and attributes, received "
                f"classes = {classes}, attributes = {attributes}: set "
                "Classifier.classes or Classifier.attributes to their number."
            )
        given = (
            {"classes": classes} if attributes is None else {"attributes": attributes}
        )
        check_counts("Classifier", **given)
        check_within("Classifier", "[0, 1)", dropout=dropout)
        check_within("Classifier", "[0, inf)", shift=shift)
        if shift:
            check_counts("Classifier", shift=shift)
        self.classes = classes
        self.attributes = attributes
        self.dropout = dropout
        self.shift = shift
        self.flip = flip
        super().__init__(network, classes or attributes, seed, **kwargs)

    @property
    def target(self) -> str:
        """The feature of the data that it learns."""
        return "label" if self.classes else "attributes"

    def check_data(self, image_shape, features):
        super().check_data(image_shape, features)
        values = np.asarray(features[self.target])
        low, high = values.min(), values.max()
        if self.classes and not 0 <= low <= high < self.classes:
            advice = f"set Classifier.classes = {high + 1}"
            raise UserError(
                f"Expected labels from 0 to {self.classes - 1}, received {low} to "
                f"{high}: {advice if low >= 0 else 'number them from 0'}."
            )
        if self.attributes and values.shape[1:] != (self.attributes,):
            number = math.prod(values.shape[1:])
            raise UserError(
                f"The data has {number} attributes, the classifier "
                f"{self.attributes}: set Classifier.attributes = {number}."
            )

    # Inference -----------------------------------------------------------------

    def correct(self, logits, targets):
        """Which decisions are right: bools `[batch]` or `[batch, attributes]`."""
        if self.classes:
            decisions = tf.argmax(logits, axis=-1, output_type=tf.int64)
            return decisions == tf.cast(targets, tf.int64)
        return (logits > 0) == tf.cast(targets, tf.bool)

    # Training ------------------------------------------------------------------

    def _augmented(self, images, seed):
        """Images moved and mirrored at random, each by itself."""
        batch, height, width, _ = images.shape
        batch = tf.shape(images)[0] if batch is None else batch
        if self.flip:
            mirrored = replicas.uniform(batch, [1, 1, 1], fold_in(seed, 1))
            images = tf.where(mirrored < 0.5, images[:, :, ::-1], images)
        if self.shift:
            border = [self.shift, self.shift]
            padded = tf.pad(images, [[0, 0], border, border, [0, 0]])
            high = 2 * self.shift + 1

            def offsets_of(n):
                drawn = tf.random.stateless_uniform(
                    [2, n, 1], fold_in(seed, 2), 0, high, tf.int32
                )
                return tf.transpose(drawn, [1, 0, 2])

            offsets = replicas.rows(offsets_of, batch)  # [B, 2, 1]
            rows = tf.gather(
                padded, offsets[:, 0] + tf.range(height), axis=1, batch_dims=1
            )
            images = tf.gather(
                rows, offsets[:, 1] + tf.range(width), axis=2, batch_dims=1
            )
        return images

    def _cross_entropy(self, logits, targets):
        """Cross-entropy in nats, `[batch]`."""
        if self.classes:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        targets = tf.cast(targets, logits.dtype)
        return tf.reduce_sum(
            tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), axis=-1
        )

    def objective_on(self, batch, step, seed):
        del step
        targets = self.feature(batch, self.target)
        images = self._augmented(batch["image"], seed)
        features = self._features(images, training=True)
        if self.dropout:
            features *= replicas.rows(
                lambda n: tf.nn.experimental.stateless_dropout(
                    tf.ones([n, features.shape[-1]]), self.dropout, fold_in(seed, 3)
                ),
                replicas.size(features),
            )
        scalars = self._scalars(self._head(features), targets)
        return Objective(scalars.pop("loss"), scalars)

    def _scalars(self, outputs, targets):
        if self.classes:
            targets = checked_labels(targets, self.classes)
        right = tf.cast(self.correct(outputs, targets), tf.float32)
        return {
            "loss": tf.reduce_mean(self._cross_entropy(outputs, targets)),
            self.quality: tf.reduce_mean(right),
        }
