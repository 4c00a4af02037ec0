"""Labels and attributes as conditions of a prior."""

import numpy as np
import tensorflow as tf

from tfp_priors.core.conditioner import Conditioner
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts


class LabelContext(Conditioner):
    """A class as a one-hot vector; all zeros stand for no class in particular.

    Args:
      classes: number of classes.
      conditions_networks: see `Conditioner`; `ConditionalEncoder` and
        `ConditionalDecoder` take pairs.

    Call arguments:
      labels: integers from 0 to classes - 1, or -1 for no class in particular,
        `[batch]`.

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
        wrong = labels[(labels < 0) | (labels >= self.classes)]
        if len(wrong):
            raise UserError(
                f"Expected labels from 0 to {self.classes - 1}, received {wrong[0]}: "
                "set LabelContext.classes."
            )

    def call(self, labels):
        labels = tf.cast(labels, tf.int32)
        error = UserError(f"Expected a label from 0 to {self.classes - 1}.")
        known = tf.reduce_all((labels >= -1) & (labels < self.classes))
        with tf.control_dependencies([tf.debugging.Assert(known, [error.in_graph])]):
            return tf.one_hot(labels, self.classes)


class AttributeContext(Conditioner):
    """Binary attributes as -1 and 1; 0 stands for one that is not told.

    Args:
      attributes: number of attributes.
      conditions_networks: see `LabelContext`.

    Call arguments:
      attributes: 0 or 1, or NaN where it is not told, `[batch, attributes]`.

    Returns:
      `[batch, attributes]`.
    """

    feature = "attributes"
    argument = "attributes"

    def __init__(self, attributes: int, conditions_networks: bool = False, **kwargs):
        super().__init__(**kwargs)
        check_counts(type(self).__name__, attributes=attributes)
        self.attributes = self.context_size = attributes
        self.condition_shape = (attributes,)
        self.conditions_networks = conditions_networks

    def call(self, attributes):
        values = 2.0 * tf.cast(attributes, tf.float32) - 1.0
        return tf.where(tf.math.is_nan(values), 0.0, values)
