"""Labels in a graph: of wrong ones some devices make NaN, and others an error."""

import tensorflow as tf

from tfp_priors.core.asserted import asserted
from tfp_priors.errors import UserError


def checked_labels(labels, classes: int):
    """Labels, `[batch]` or `[batch, 1]`, as int32 `[batch]`, if they are some.

    Raises:
      UserError: unless they are integers from 0 to classes - 1; see
        `errors.raised_in_graph`.
    """
    labels = tf.convert_to_tensor(labels)
    if not labels.dtype.is_integer:
        raise UserError(
            f"Expected integers as labels, received {labels.dtype.name}: give their "
            'astype("int32").'
        )
    if labels.shape.rank is None:
        error = UserError(
            "Expected one label for each image: of one-hot rows take argmax."
        )
        labels = asserted(labels, tf.size(labels) == tf.shape(labels)[0], error)
    if labels.shape.rank is None or labels.shape[1:] == (1,):
        labels = tf.reshape(labels, [-1])
    if labels.shape.rank != 1:
        raise UserError(
            f"Expected one label for each image, received {labels.shape.as_list()}: of "
            "one-hot vectors take numpy.argmax."
        )
    labels = tf.cast(labels, tf.int32)
    error = UserError(f"Expected a label from 0 to {classes - 1}.")
    known = tf.reduce_all((labels >= 0) & (labels < classes))
    return asserted(labels, known, error)
