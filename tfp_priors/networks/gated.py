"""Dense networks of gated units, as those of Tomczak & Welling 2018."""

import math
from collections.abc import Sequence

import keras

from tfp_priors.core.configured import Configured
from tfp_priors.errors import check_widths
from tfp_priors.networks.body import BodyDecoder
from tfp_priors.networks.body import BodyEncoder
from tfp_priors.networks.dense import Dense


class GatedDense(Configured, keras.layers.Layer):
    """A linear map of the inputs times a sigmoid of another one (Dauphin et al. 2017).

    Args:
      units: of the output.

    Call arguments:
      inputs: float tensor of shape `[batch, size]`.

    Returns:
      Float tensor of shape `[batch, units]`.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        (self.units,) = check_widths(type(self).__name__, [units])
        # Both maps in one product.
        self._maps = Dense(2 * units, kernel_initializer="he_normal")

    def build(self, input_shape):
        self._maps.build(input_shape)
        self.built = True

    def call(self, inputs):
        values, gates = keras.ops.split(self._maps(inputs), 2, axis=-1)
        return values * keras.ops.sigmoid(gates)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


class GatedEncoder(BodyEncoder):
    """Images to features: layers of gated units on all pixels.

    Args:
      image_shape: `(height, width, channels)` of the images.
      hidden_sizes: units of each layer.

    Call arguments:
      images: float tensor of shape `[batch, height, width, channels]` in [0, 1].

    Returns:
      Features of shape `[batch, hidden_sizes[-1]]`.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        hidden_sizes: Sequence[int] = (300, 300),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.hidden_sizes = check_widths(type(self).__name__, hidden_sizes)
        layers = [GatedDense(units) for units in self.hidden_sizes]
        self._body = keras.Sequential([keras.layers.Flatten(), *layers], name="body")

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.hidden_sizes[-1])


class GatedDecoder(BodyDecoder):
    """Codes to likelihood parameters: layers of gated units and a linear one.

    Args:
      image_shape: `(height, width, channels)` of the images.
      hidden_sizes: units of each layer.

    Call arguments:
      z: float tensor of shape `[batch, latent_size]`.

    Returns:
      Unbounded outputs of shape `[batch, height, width, channels]`.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        hidden_sizes: Sequence[int] = (300, 300),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.hidden_sizes = check_widths(type(self).__name__, hidden_sizes)
        layers = [GatedDense(units) for units in self.hidden_sizes]
        layers.append(Dense(math.prod(self.image_shape)))
        layers.append(keras.layers.Reshape(self.image_shape))
        self._body = keras.Sequential(layers, name="body")
