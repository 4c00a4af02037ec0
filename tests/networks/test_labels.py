import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.errors import raised_in_graph
from tfp_priors.networks import AttributeContext
from tfp_priors.networks import LabelContext


def test_labels_are_rows_of_the_identity():
    context = LabelContext(4)(np.array([3, 0]))
    np.testing.assert_array_equal(context, np.eye(4)[[3, 0]])


@pytest.mark.parametrize("label", [4, -1])
def test_labels_that_are_none(label):
    with (
        pytest.raises(UserError, match="Expected a label from 0 to 3"),
        raised_in_graph(),
    ):
        tf.function(LabelContext(4))(tf.constant([0, label]))
    with pytest.raises(UserError, match="from 0 to 3, received .*set LabelContext"):
        LabelContext(4).check([0, label, 1])


def test_labels_must_be_whole_and_all_there():
    with pytest.raises(UserError, match="Expected integers as labels, received"):
        LabelContext(4)(tf.constant([0.5, 1.0]))
    with pytest.warns(UserWarning, match="No image has a label above 2"):
        LabelContext(4).check([0, 2, 1])


@pytest.mark.parametrize("value", [-1.0, 0.5, 2.0, np.nan])
def test_attributes_that_are_none(value):
    with (
        pytest.raises(UserError, match="Expected attributes of 0 or 1"),
        raised_in_graph(),
    ):
        tf.function(AttributeContext(2))(tf.constant([[0.0, value]]))


def test_attributes_are_signs():
    context = AttributeContext(3)(np.array([[0, 1, 0], [1, 1, 0]]))
    np.testing.assert_array_equal(context, [[-1, 1, -1], [1, 1, -1]])


@pytest.mark.parametrize("made", [LabelContext(4, True), AttributeContext(3)])
def test_config_round_trip(made):
    copy = type(made).from_config(made.get_config())
    assert copy.get_config() == made.get_config()
    assert copy.context_size == made.context_size


def test_sizes_that_are_none():
    with pytest.raises(UserError, match="LabelContext.classes must be at least 1"):
        LabelContext(0)
    with pytest.raises(UserError, match="classes must be a whole number, received 2.5"):
        LabelContext(2.5)
    with pytest.raises(UserError, match="AttributeContext.attributes must be at"):
        AttributeContext(0)


def test_attributes_are_looked_at_before_training():
    AttributeContext(2).check(np.array([[0, 1], [1, 1]]))
    with pytest.raises(UserError, match=r"of 0 or 1, received \[-1, 1\]: give 0 for"):
        AttributeContext(2).check(np.array([[-1, 1], [1, 1]]))
