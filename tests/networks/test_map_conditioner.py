import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors.networks.map_conditioner import MapConditioner
from tfp_priors.networks.map_conditioner import stays_in

SHAPE = (3, 4, 2)
STAYS = stays_in(SHAPE, 1, np.random.RandomState(0))[0]


def conditioner(context_size=0, **kwargs):
    layer = MapConditioner(STAYS, (5, 5), 2, **kwargs)
    layer.build((None, int(STAYS.sum()) + context_size))
    randomize(layer, scale=0.3)
    return layer


def numbers(n=3, context_size=0):
    return np.random.RandomState(0).randn(n, int(STAYS.sum()) + context_size)


def test_a_new_one_gives_zeros():
    layer = MapConditioner(STAYS, (5,), 2)
    outputs = layer(numbers().astype("f4"))
    np.testing.assert_array_equal(outputs, np.zeros([3, 24]))


def test_what_stays_is_put_back_in_its_place():
    """A convolution of 1 x 1 that adds up the channels shows it."""
    layer = MapConditioner(STAYS, (1,), 1)
    layer.build((None, 12))
    (hidden,) = layer._hidden
    kernel = np.zeros([3, 3, 2, 1], np.float32)
    kernel[1, 1] = 1.0
    hidden.kernel.assign(kernel)
    layer._places.assign(tf.zeros_like(layer._places))
    kernel = np.zeros([3, 3, 1, 2], np.float32)
    kernel[1, 2] = 1.0  # The pixel to the right.
    layer._output.kernel.assign(kernel)
    z = np.abs(numbers()).astype("f4")
    full = np.zeros([3, *SHAPE], np.float32)
    full[:, STAYS] = z
    expected = np.zeros_like(full)
    expected[:, :, :-1] = full.sum(-1, keepdims=True)[:, :, 1:]
    np.testing.assert_allclose(layer(z), expected[:, ~STAYS], rtol=1e-5)


def test_outputs_of_one_kind_are_side_by_side():
    layer = conditioner()
    bias = np.zeros(layer._output.bias.shape, np.float32)
    bias[1::2] = 1.0  # The second of the two outputs of each channel.
    layer._output.kernel.assign(tf.zeros_like(layer._output.kernel))
    layer._output.bias.assign(bias)
    expected = np.tile(np.repeat([0.0, 1.0], 12), (3, 1))
    np.testing.assert_array_equal(layer(numbers().astype("f4")), expected)


def test_the_context_reaches_every_output():
    layer = conditioner(context_size=2)
    z = numbers(context_size=2).astype("f4")
    other = z + np.r_[np.zeros(12), np.ones(2)].astype("f4")
    assert np.abs(layer(z) - layer(other)).min() > 0


@pytest.mark.parametrize("shape", [(4, 4, 3), (1, 1, 3), (1, 5, 1), (2, 2, 1)])
def test_pairs_of_couplings_move_everything(shape):
    stays = stays_in(shape, 6, np.random.RandomState(0))
    assert len(stays) == 6
    for first, second in zip(stays[::2], stays[1::2], strict=True):
        np.testing.assert_array_equal(first, ~second)
        assert first.any() and second.any()
