import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.networks import ConvFeatures


def test_number_of_parameters():
    """Counted by hand: two 3x3 convolutions and two batch norms per stage."""
    layer = ConvFeatures((28, 28, 1), widths=(32, 64), size=128)
    layer.build()
    stages = 9 * 32 + 9 * 32 * 32 + 9 * 32 * 64 + 9 * 64 * 64 + 4 * 32 + 4 * 64
    dense = 7 * 7 * 64 * 128 + 2 * 128
    count = sum(int(np.prod(v.shape)) for v in layer.trainable_variables)
    assert count == stages + dense


@pytest.mark.parametrize("shape", [(28, 28, 1), (10, 7, 3)])
def test_features_are_of_the_asked_size_and_not_negative(shape):
    layer = ConvFeatures(shape, widths=(4, 4), size=5)
    features = layer(tf.random.stateless_uniform([3, *shape], [1, 2])).numpy()
    assert features.shape == (3, 5) and features.min() >= 0
    assert layer.compute_output_shape((3, *shape)) == (3, 5)


def test_bad_shape():
    with pytest.raises(UserError, match="image_shape"):
        ConvFeatures((28, 28))
