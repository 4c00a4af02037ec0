"""Where an encoder says what images it takes."""

import keras
import pytest

from tfp_priors.core.image_shape import image_shape_of
from tfp_priors.errors import UserError


class Layer(keras.layers.Layer):
    pass


def test_an_attribute_comes_before_an_input():
    model = keras.Sequential([keras.Input((8, 6, 3)), keras.layers.Flatten()])
    assert image_shape_of(model) == (8, 6, 3)
    layer = Layer()
    layer.image_shape = [4, 5, 1]
    assert image_shape_of(layer) == (4, 5, 1)


@pytest.mark.parametrize("shape", [None, (8, 6), (None, 6, 3)])
def test_no_shape_of_images_is_told(shape):
    encoder = Layer() if shape is None else keras.Sequential([keras.Input(shape)])
    with pytest.raises(UserError, match=r"a network of images \(height, width, chan"):
        image_shape_of(encoder)
