"""Labels in a graph."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.core.labels import checked_labels
from tfp_priors.errors import UserError
from tfp_priors.errors import raised_in_graph


def test_labels_pass_as_int32():
    labels = checked_labels(np.array([2, 0, 1]), 3)
    assert labels.dtype == tf.int32 and labels.numpy().tolist() == [2, 0, 1]


@pytest.mark.parametrize("labels", [[0, -1], [0, 3]])
def test_others_are_refused_in_a_graph(labels):
    graph = tf.function(lambda labels: checked_labels(labels, 3))
    with pytest.raises(UserError, match="a label from 0 to 2"), raised_in_graph():
        graph(tf.constant(labels))


def test_numbers_that_are_no_integers_are_refused():
    with pytest.raises(UserError, match="integers as labels, received float"):
        checked_labels([0.5], 3)


def test_a_column_passes_and_vectors_are_refused():
    assert checked_labels([[2], [0]], 3).numpy().tolist() == [2, 0]
    with pytest.raises(UserError, match="one label for each image, received"):
        checked_labels([[0, 1]], 3)
