"""The conditioner of a coupling on maps: convolutions of the half that stays."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core.configured import Configured
from tfp_priors.errors import check_widths
from tfp_priors.networks.conditional import beside
from tfp_priors.networks.convolution import convolution


class MapConditioner(Configured, keras.layers.Layer):
    """Numbers of a map that stay to numbers for each that moves.

    The numbers that stay are put back in their places, with zeros for the others, and
    go through convolutions of 3 x 3 and 1 x 1 pixels in turn (Kingma & Dhariwal 2018).
    A learned map tells the places apart. Without training all outputs are 0.

    Args:
      stays: booleans `[height, width, channels]`.
      hidden_sizes: channels of each hidden layer.
      outputs: for each number that moves.

    Call arguments:
      inputs: `[batch, staying + context_size]`, in the order of the map.
      dropout: None, or a function of the units of a hidden layer and its number.

    Returns:
      `[batch, outputs * moving]`, all first outputs before all second ones.
    """

    def __init__(
        self,
        stays: np.ndarray,
        hidden_sizes: Sequence[int],
        outputs: int,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.stays = np.asarray(stays, bool)
        self.hidden_sizes = check_widths(type(self).__name__, hidden_sizes)
        self.outputs = outputs
        flat = self.stays.ravel()
        self._moving = np.flatnonzero(~flat)
        # Place of each number among those that stay, after one that is 0.
        self._sources = np.where(flat, np.cumsum(flat), 0)
        self._hidden = [
            convolution(width, 1 if i % 2 else 3, activation="relu")
            for i, width in enumerate(self.hidden_sizes)
        ]
        self._output = convolution(
            outputs * self.stays.shape[-1], 3, kernel_initializer="zeros"
        )

    def build(self, input_shape):
        height, width, channels = self.stays.shape
        channels += input_shape[-1] - int(self.stays.sum())
        self._places = self.add_weight(
            name="places",
            shape=(height, width, channels),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
        )
        for layer in [*self._hidden, self._output]:
            layer.build((None, height, width, channels))
            channels = layer.filters
        self.built = True

    def call(self, inputs, dropout=None):
        staying = int(self.stays.sum())
        padded = tf.pad(inputs[:, :staying], [[0, 0], [1, 0]])
        h = tf.gather(padded, self._sources, axis=1)
        h = tf.reshape(h, [-1, *self.stays.shape])
        context = inputs[:, staying:] if inputs.shape[-1] > staying else None
        h = beside(h, context) + self._places
        for i, layer in enumerate(self._hidden):
            h = layer(h)
            h = h if dropout is None else dropout(h, i)
        outputs = tf.reshape(self._output(h), [-1, self.stays.size, self.outputs])
        outputs = tf.gather(outputs, self._moving, axis=1)
        outputs = tf.transpose(outputs, [0, 2, 1])
        return tf.reshape(outputs, [-1, len(self._moving) * self.outputs])


def stays_in(
    map_shape: Sequence[int], couplings: int, random: np.random.RandomState
) -> list[np.ndarray]:
    """What each of some couplings leaves where it is, `[height, width, channels]`.

    In pairs: half of the pixels, as the white squares of a chessboard, and the others;
    then a random half of the channels, and the others (after Dinh et al. 2017).
    """
    height, width, channels = map_shape
    rows, columns = np.indices((height, width))
    white = np.repeat(((rows + columns) % 2 == 0)[..., None], channels, -1)
    stays = []
    for pair in range(-(-couplings // 2)):
        some = np.zeros(map_shape, bool)
        some[..., random.permutation(channels)[: channels // 2]] = True
        by_pixels = channels == 1 or (pair % 2 == 0 and height * width > 1)
        first = white if by_pixels else some
        stays += [first, ~first]
    return stays[:couplings]
