import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors import networks
from tfp_priors.errors import UserError

LABELS = networks.LabelContext(3)
GIVEN = np.array([2, 0])


def test_images_get_channels_of_the_context():
    inner = networks.InfoGANEncoder((8, 8, 5), width=2)
    encoder = networks.ConditionalEncoder(inner, LABELS)
    encoder.build(((None, 8, 8, 2), (None,)))
    assert encoder.image_shape == (8, 8, 2)
    images = tf.random.stateless_uniform([2, 8, 8, 2], [1, 2])
    ones = np.zeros((2, 8, 8, 3), np.float32)
    ones[0, ..., 2] = ones[1, ..., 0] = 1
    expected = inner(tf.concat([images, ones], axis=-1))
    np.testing.assert_array_equal(encoder((images, GIVEN)), expected)
    shape = encoder.compute_output_shape(((None, 8, 8, 2), (None,)))
    assert shape == (None, expected.shape[1])


def test_codes_have_the_context_beside_them():
    inner = networks.InfoGANDecoder((8, 8, 1), width=2)
    decoder = networks.ConditionalDecoder(inner, LABELS)
    decoder.build(((None, 4), (None,)))
    randomize(decoder)
    z = tf.random.stateless_normal([2, 4], [1, 2])
    expected = inner(tf.concat([z, [[0, 0, 1], [1, 0, 0]]], axis=-1))
    np.testing.assert_array_equal(decoder((z, GIVEN)), expected)
    assert decoder.compute_output_shape(((None, 4), (None,))) == (None, 8, 8, 1)


def test_an_encoder_without_room_for_the_context():
    with pytest.raises(UserError, match="with 3 more channels, .* of 3 in all"):
        networks.ConditionalEncoder(networks.InfoGANEncoder((8, 8, 3)), LABELS)
