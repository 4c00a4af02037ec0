"""What a model is conditional on, as the context vector of its prior."""

import keras
import tensorflow as tf

from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError


class Conditioner(Configured, keras.layers.Layer):
    """Maps a feature of the data, the condition, to the prior's context.

    It learns nothing: what the prior is given are data, and an embedding of them is the
    first layer of whatever takes the context.

    Attributes:
      feature: the data's feature that is the condition.
      condition_shape: shape of one condition, such as `(15, 2)`.
      condition_dtype: of conditions, "float32" or "int32".
      argument: what exported functions call a condition.
      context_size: width of the context.
      conditions_networks: whether encoder and decoder see the condition too, and take
        pairs, (images, condition) and (codes, condition); else the prior alone does.
    """

    feature: str
    condition_shape: tuple[int, ...]
    condition_dtype = "float32"
    argument: str
    context_size: int
    conditions_networks = True

    def check(self, values) -> None:
        """Raises: UserError: if these values of the feature are no conditions."""

    @property
    def shape_of_batch(self) -> str:
        """As messages tell it, such as "[batch, 15, 2]"."""
        return f"[{', '.join(['batch', *map(str, self.condition_shape)])}]"

    def given(self, condition):
        """Conditions `[batch, *condition_shape]` as a tensor, fractions as float32.

        Single numbers may be `[batch, 1]`, as data sets of Keras have labels.

        Raises:
          UserError: if they have another shape.
        """
        condition = tf.convert_to_tensor(condition)
        if condition.dtype.is_floating:
            condition = tf.cast(condition, tf.float32)
        if self.condition_shape == () and condition.shape[1:] == (1,):
            condition = tf.squeeze(condition, axis=1)
        shape = condition.shape
        if shape.rank is not None and shape[1:] != self.condition_shape:
            one_hot = self.condition_shape == () and shape.rank == 2
            raise UserError(
                f"Expected {self.feature} of shape {self.shape_of_batch}, received "
                f"{shape.as_list()}{': of one-hot rows take argmax(-1)' * one_hot}."
            )
        return condition
