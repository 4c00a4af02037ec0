import numpy as np
import pytest
import tensorflow as tf

from tests.networks.test_residual import block
from tests.networks.test_residual import count
from tfp_priors.errors import UserError
from tfp_priors.networks import MapDecoder
from tfp_priors.networks import MapEncoder


def test_number_of_parameters():
    """Counted by hand: batch norm replaces the second bias, and ends each network."""
    encoder = MapEncoder((8, 12, 3), width=6, blocks=1)
    decoder = MapDecoder((8, 12, 3), width=6, blocks=1)
    encoder.build()
    decoder.build((None, 2, 3, 5))
    halvings = (16 * 3 * 3 + 3) + 16 * 3 * 6 + 2 * 6
    assert count(encoder) == halvings + block(6, 6) + 2 * 6
    doublings = 2 * 6 + (16 * 6 * 3 + 3) + 2 * 3 + (16 * 3 * 3 + 3)
    assert count(decoder) == (9 * 5 * 6 + 6) + block(6, 6) + doublings


@pytest.mark.parametrize("halvings", [1, 2, 3])
def test_shapes(halvings):
    kwargs = {"width": 4, "halvings": halvings, "blocks": 1}
    encoder = MapEncoder((16, 24, 3), **kwargs)
    decoder = MapDecoder((16, 24, 3), **kwargs)
    features = encoder(tf.zeros([2, 16, 24, 3]))
    assert features.shape == encoder.compute_output_shape((2, 16, 24, 3))
    assert features.shape == (2, 16 // 2**halvings, 24 // 2**halvings, 4)
    assert decoder(features[..., :2]).shape == (2, 16, 24, 3)


def test_a_pixel_of_the_code_reaches_its_part_of_the_image():
    decoder = MapDecoder((64, 64, 1), width=4, blocks=1)
    decoder.build((None, 16, 16, 2))
    z = np.zeros([1, 16, 16, 2], np.float32)
    before = decoder(z).numpy()
    z[0, 8, 8] = 1.0
    moved = np.argwhere(np.abs(decoder(z) - before)[0, ..., 0] > 1e-6)
    # Three convolutions of 3 x 3 at the code's size, then two of 4 x 4 / 2.
    assert moved.min() >= 4 * (8 - 3) - 6 and moved.max() <= 4 * (8 + 4) + 6
    assert len(moved) > 100


def test_config_round_trip():
    layer = MapEncoder((8, 8, 1), width=4, halvings=1, blocks=3)
    copy = MapEncoder.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize("make", [MapEncoder, MapDecoder])
def test_bad_arguments(make):
    with pytest.raises(UserError, match="halves the sides 3 times, .*multiples of 8"):
        make((28, 28, 1), halvings=3)
    with pytest.raises(UserError, match="blocks must be at least 1"):
        make((28, 28, 1), blocks=0)


def test_codes_of_another_shape():
    decoder = MapDecoder((32, 32, 3))
    for shape in ((None, 256), (None, 4, 4, 4)):
        with pytest.raises(UserError, match="maps .8, 8, channels., received"):
            decoder.build(shape)
