"""Means of a model's terms, as one metric."""

from typing import Any

import keras
import tensorflow as tf

from tfp_priors.errors import UserError


class RunningMeans(keras.metrics.Metric):
    """The mean of each of several scalars since the last reset.

    One vector instead of a metric per name, each with two variables to update.

    Args:
      names: of the scalars.

    Raises:
      UserError: if one is no name, or of two scalars.
    """

    def __init__(self, names, **kwargs):
        super().__init__(**kwargs)
        self.names = tuple(names)
        for name in self.names:
            if not isinstance(name, str) or self.names.count(name) > 1:
                raise UserError(
                    "Expected a name of its own for each metric, received "
                    f"{', '.join(map(str, self.names))}: see Divergence.metric_names "
                    "and Regularizer.name."
                )
        state = {"shape": (len(self.names),), "initializer": "zeros"}
        self.total = self.add_variable(name="total", **state)
        self.count = self.add_variable(name="count", **state)

    def update_state(self, scalars: dict[str, Any], weight=1.0):
        """Args: values by name, of which missing ones do not count; their weight."""
        unknown = sorted(set(scalars) - set(self.names))
        if unknown:
            raise UserError(
                f"Expected metrics of {', '.join(self.names)}, received "
                f"{', '.join(unknown)}: name it in metric_names."
            )
        values = [tf.cast(scalars.get(name, 0.0), tf.float32) for name in self.names]
        weight = tf.cast(weight, tf.float32)
        # The mean over no rows is NaN.
        self.total.assign_add(tf.math.multiply_no_nan(tf.stack(values), weight))
        self.count.assign_add(
            [weight if name in scalars else 0.0 for name in self.names]
        )

    def weight_of(self, name: str):
        """The weight of a scalar's values since the last reset, on this replica."""
        return self.count.value[self.names.index(name)]

    def result(self) -> dict[str, Any]:
        """The means by name; 0 where nothing came."""
        means = tf.math.divide_no_nan(self.total.value, self.count.value)
        return dict(zip(self.names, tf.unstack(means), strict=True))
