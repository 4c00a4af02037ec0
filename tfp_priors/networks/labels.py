"""Labels and attributes as conditions of a prior."""

import warnings

import numpy as np
import tensorflow as tf

from tfp_priors.core.asserted import asserted
from tfp_priors.core.conditioner import Conditioner
from tfp_priors.core.labels import checked_labels
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts


class LabelContext(Conditioner):
    """A class as a one-hot vector.

    Args:
      classes: number of classes.
      conditions_networks: see `Conditioner`; `ConditionalEncoder` and
        `ConditionalDecoder` take pairs.

    Call arguments:
      labels: integers from 0 to classes - 1, `[batch]`.

    Returns:
      `[batch, classes]`.

    Raises:
      UserError: if there is no such label; see `errors.raised_in_graph`.

    >>> LabelContext(3)(tf.constant([2, 0])).numpy().tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    feature = "label"
    condition_shape = ()
    condition_dtype = "int32"
    argument = "label"

    def __init__(self, classes: int, conditions_networks: bool = False, **kwargs):
        super().__init__(**kwargs)
        check_counts(type(self).__name__, classes=classes)
        self.classes = self.context_size = classes
        self.conditions_networks = conditions_networks

    def check(self, values):
        labels = np.asarray(values)
        low, high = labels.min(), labels.max()
        if low < 0 or high >= self.classes:
            raise UserError(
                f"Expected labels from 0 to {self.classes - 1}, received {low} to "
                f"{high}: set LabelContext.classes and the prior's context_size, both "
                f"CONTEXT_SIZE in gin files, to {high + 1}."
            )
        # A rare last class may be among what is held out.
        if high < self.classes - 1:
            warnings.warn(
                f"No image has a label above {high}, LabelContext.classes is "
                f"{self.classes}: draws given the others would be of no class. "
                f"Set it and the prior's context_size to {high + 1} if there are none.",
                stacklevel=2,
            )

    def call(self, labels):
        return tf.one_hot(checked_labels(labels, self.classes), self.classes)


class AttributeContext(Conditioner):
    """Binary attributes as -1 and 1.

    Args:
      attributes: number of attributes.
      conditions_networks: see `LabelContext`.

    Call arguments:
      attributes: 0 or 1, `[batch, attributes]`.

    Returns:
      `[batch, attributes]`.

    Raises:
      UserError: if there are other values; see `errors.raised_in_graph`.
    """

    feature = "attributes"
    argument = "attributes"

    def __init__(self, attributes: int, conditions_networks: bool = False, **kwargs):
        super().__init__(**kwargs)
        check_counts(type(self).__name__, attributes=attributes)
        self.attributes = self.context_size = attributes
        self.condition_shape = (attributes,)
        self.conditions_networks = conditions_networks

    def check(self, values):
        found = np.unique(values)
        if not np.isin(found, (0, 1)).all():
            raise UserError(
                f"Expected attributes of 0 or 1, received {found[:5].tolist()}: give "
                "0 for one that an image lacks."
            )

    def call(self, attributes):
        values = tf.cast(attributes, tf.float32)
        error = UserError("Expected attributes of 0 or 1.")
        known = tf.reduce_all((values == 0.0) | (values == 1.0))
        return 2.0 * asserted(values, known, error) - 1.0
