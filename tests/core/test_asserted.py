import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.core.asserted import asserted
from tfp_priors.errors import UserError
from tfp_priors.errors import raised_in_graph


@tf.function
def doubled(x):
    values = {"x": x, "y": (2 * x,)}
    return asserted(values, tf.reduce_all(x > 0), UserError("Expected x > 0."))


def test_values_where_the_condition_holds():
    values = doubled(tf.constant([1.0, 3.0]))
    np.testing.assert_array_equal(values["x"], [1, 3])
    np.testing.assert_array_equal(values["y"][0], [2, 6])


def test_the_error_elsewhere():
    with pytest.raises(UserError, match="^Expected x > 0.$"), raised_in_graph():
        doubled(tf.constant([1.0, -3.0]))
