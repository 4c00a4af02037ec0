import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.networks import ResidualDecoder
from tfp_priors.networks import ResidualEncoder


def count(layer):
    return sum(int(np.prod(v.shape)) for v in layer.trainable_variables)


def block(channels, width):
    shortcut = 0 if channels == width else channels * width
    return (
        2 * channels
        + 9 * channels * width
        + 2 * width
        + 9 * width**2
        + width
        + (shortcut)
    )


def test_number_of_parameters():
    """Counted by hand: batch norm replaces the first bias of a block."""
    encoder = ResidualEncoder((8, 12, 3), widths=(4, 6))
    decoder = ResidualDecoder((8, 12, 3), widths=(4, 6))
    encoder.build()
    decoder.build((None, 5))
    stem = 9 * 3 * 4 + 4
    assert count(encoder) == stem + block(4, 4) + block(4, 6) + 2 * 6
    dense = (5 + 1) * 2 * 3 * 6
    head = 2 * 4 + 9 * 4 * 3 + 3
    assert count(decoder) == dense + block(6, 6) + block(6, 4) + head


def test_shapes():
    encoder = ResidualEncoder((32, 64, 3), widths=(2, 3, 4))
    decoder = ResidualDecoder((32, 64, 3), widths=(2, 3, 4))
    features = encoder(tf.zeros([2, 32, 64, 3]))
    assert features.shape == encoder.compute_output_shape((2, 32, 64, 3))
    assert features.shape == (2, 4 * 8 * 4)
    assert decoder(tf.zeros([2, 5])).shape == (2, 32, 64, 3)


def test_a_block_without_its_path_is_the_identity():
    """With all kernels of the path zero, the encoder averages its stem."""
    encoder = ResidualEncoder((8, 8, 1), widths=(3,))
    encoder.build()
    blocks = [layer for layer in encoder._body.layers if hasattr(layer, "_residual")]
    for layer in blocks:
        for variable in layer._residual.trainable_variables:
            variable.assign(tf.zeros_like(variable))
    images = tf.random.stateless_uniform([2, 8, 8, 1], [0, 1])
    stem = encoder._body.layers[0](images)
    expected = tf.nn.relu(tf.nn.avg_pool2d(stem, 2, 2, "VALID"))
    # Batch norm at its start divides by sqrt(1 + epsilon).
    received = tf.reshape(encoder(images), expected.shape)
    np.testing.assert_allclose(received, expected, rtol=1e-2, atol=1e-4)


def test_batch_statistics_in_training_only():
    encoder = ResidualEncoder((8, 8, 1), widths=(4, 4))
    images = tf.random.stateless_uniform([16, 8, 8, 1], [1, 2])
    one = encoder(images[:1], training=False)
    np.testing.assert_allclose(encoder(images, training=False)[:1], one, atol=1e-5)
    assert np.abs(encoder(images, training=True)[:1] - one).max() > 1e-2


def test_config_round_trip():
    for class_ in (ResidualEncoder, ResidualDecoder):
        layer = class_((8, 8, 3), widths=(4, 2))
        assert class_.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("shape", [(30, 32, 1), (32, 32), (0, 4, 1)])
def test_bad_shapes(shape):
    for class_ in (ResidualEncoder, ResidualDecoder):
        with pytest.raises(UserError, match="multiples of 4"):
            class_(shape, widths=(2, 2))


def test_codes_that_are_maps():
    with pytest.raises(UserError, match="vectors, received maps .4, 4, 2.: take netw"):
        ResidualDecoder((8, 8, 1), widths=(2,)).build((None, 4, 4, 2))
