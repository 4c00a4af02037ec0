import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.networks import InfoGANDecoder
from tfp_priors.networks import InfoGANEncoder


def count(layer):
    return sum(int(np.prod(v.shape)) for v in layer.trainable_variables)


def test_number_of_parameters_on_mnist():
    """Counted by hand from Lucic et al. 2018; batch norm replaces the biases."""
    encoder, decoder = InfoGANEncoder((28, 28, 1)), InfoGANDecoder((28, 28, 1))
    encoder.build()
    decoder.build((None, 8))
    conv = 16 * 1 * 64 + 64 + 16 * 64 * 128 + 2 * 128
    assert count(encoder) == conv + 49 * 128 * 1024 + 2 * 1024
    dense = 8 * 1024 + 2 * 1024 + 1024 * 49 * 128 + 2 * 49 * 128
    assert count(decoder) == dense + 16 * 128 * 64 + 2 * 64 + 16 * 64 * 1 + 1


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (8, 12, 3)])
def test_shapes(shape):
    encoder, decoder = InfoGANEncoder(shape, width=4), InfoGANDecoder(shape, width=4)
    features = encoder(tf.zeros([2, *shape]))
    assert features.shape == (2, 64)
    assert decoder(tf.zeros([2, 5])).shape == (2, *shape)
    assert encoder.compute_output_shape((2, *shape)) == (2, 64)


def test_batch_statistics_in_training_only():
    encoder = InfoGANEncoder((8, 8, 1), width=4)
    images = tf.random.stateless_uniform([16, 8, 8, 1], [1, 2])
    one = encoder(images[:1], training=False)
    np.testing.assert_allclose(encoder(images, training=False)[:1], one, atol=1e-5)
    assert np.abs(encoder(images, training=True)[:1] - one).max() > 1e-2


def test_config_round_trip():
    for class_ in (InfoGANEncoder, InfoGANDecoder):
        layer = class_((8, 8, 3), width=4)
        assert class_.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("shape", [(30, 28, 1), (28, 28), (0, 4, 1)])
def test_bad_shapes(shape):
    with pytest.raises(UserError, match="multiples of 4"):
        InfoGANEncoder(shape)
