"""Errors of users, whatever Keras and TensorFlow put around them."""

import contextlib
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.errors import check_within
from tfp_priors.errors import first_line
from tfp_priors.errors import raised_in_graph

LINE = "Expected a 'yes', received [0, 1]."


class Refusing(keras.layers.Layer):
    """Refuses its inputs as they come, or by their values."""

    def __init__(self, by_value):
        super().__init__()
        self.by_value = by_value

    def call(self, x):
        error = UserError(LINE)
        if not self.by_value:
            raise error
        check = tf.debugging.Assert(tf.reduce_all(x > 0), [error.in_graph])
        with tf.control_dependencies([check] if check is not None else []):
            return tf.identity(x)


@pytest.mark.parametrize("by_value", [False, True])
@pytest.mark.parametrize("in_graph", [False, True])
def test_the_line_passes_a_layer_as_it_is(by_value, in_graph):
    layer = Refusing(by_value)
    call = tf.function(layer, autograph=False) if in_graph else layer
    with pytest.raises(UserError) as raised, raised_in_graph():
        call(tf.zeros([2]))
    assert str(raised.value) == LINE


def test_the_first_line_is_that_of_the_error():
    def call(x):
        raise ValueError("One.\nTwo.")

    layer = keras.layers.Lambda(call)
    with pytest.raises(ValueError) as raised:
        layer(tf.zeros([2]))
    assert first_line(raised.value) == "One."
    assert first_line(ValueError("One.\nTwo.")) == "One."
    assert first_line(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("interval", "value", "is_in"),
    [
        ("[0, 1)", 0, True),
        ("[0, 1)", np.float32(0.5), True),
        ("[0, 1)", 1.0, False),
        ("(0, 1]", 1.0, True),
        ("(0, 1]", 0.0, False),
        ("(0, inf)", 1e30, True),
        ("[0, inf)", math.inf, False),
        ("[0, inf)", math.nan, False),
        ("[0, 1)", "0.5", False),
        ("[0, 1)", None, False),
        ("[0, 1]", True, False),
    ],
)
def test_numbers_within_an_interval(interval, value, is_in):
    expected = contextlib.nullcontext()
    if not is_in:
        message = f"Adam.rate must be a number in {interval}, received {value!r}."
        expected = pytest.raises(UserError, match=f"^{re.escape(message)}$")
    with expected:
        check_within("Adam", interval, rate=value)
