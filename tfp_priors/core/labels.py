"""Labels in a graph: of wrong ones some devices make NaN, and others an error."""

import tensorflow as tf

from tfp_priors.errors import UserError


def checked_labels(labels, classes: int):
    """Labels as int32 `[batch]`, if they are from 0 to classes - 1.

    Raises:
      UserError: if they are not; see `errors.raised_in_graph`.
    """
    labels = tf.convert_to_tensor(labels)
    if not labels.dtype.is_integer:
        raise UserError(f"Expected integers as labels, received {labels.dtype}.")
    labels = tf.cast(labels, tf.int32)
    error = UserError(f"Expected a label from 0 to {classes - 1}.")
    known = tf.reduce_all((labels >= 0) & (labels < classes))
    with tf.control_dependencies([tf.debugging.Assert(known, [error.in_graph])]):
        return tf.identity(labels)
