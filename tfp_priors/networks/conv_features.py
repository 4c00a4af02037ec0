"""The body of a classifier: images to a vector of features."""

from collections.abc import Sequence

import keras

from tfp_priors.errors import UserError
from tfp_priors.networks.batch_norm import BatchNorm
from tfp_priors.networks.body import BodyEncoder
from tfp_priors.networks.convolution import convolution


class ConvFeatures(BodyEncoder):
    """A convolutional network whose last hidden layer is a small feature vector.

    For each width: conv 3x3, batch norm, ReLU; conv 3x3/2, batch norm, ReLU. Then
    dense, batch norm, ReLU: the features, whose size bounds how many images a Frechet
    distance needs.

    Args:
      image_shape: `(height, width, channels)` of the images.
      widths: channels of each stage; each halves height and width.
      size: of the features.

    Call arguments:
      images: float tensor of shape `[batch, height, width, channels]` in [0, 1].
      training: use and update batch statistics.

    Returns:
      Features of shape `[batch, size]`, at least 0.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        widths: Sequence[int] = (32, 64),
        size: int = 128,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(int(n) for n in image_shape)
        if len(self.image_shape) != 3 or min(self.image_shape) < 1:
            raise UserError(
                "ConvFeatures expects image_shape (height, width, channels), received "
                f"{tuple(image_shape)}. Set IMAGE_SHAPE."
            )
        self.widths = tuple(widths)
        self.size = size
        body = []
        for width in self.widths:
            for strides in (1, 2):
                body += [
                    convolution(width, strides=strides, use_bias=False),
                    BatchNorm(),
                    keras.layers.ReLU(),
                ]
        body += [
            keras.layers.Flatten(),
            keras.layers.Dense(size, use_bias=False, kernel_initializer="he_normal"),
            BatchNorm(),
            keras.layers.ReLU(),
        ]
        self._body = keras.Sequential(body, name="body")

    def activations(self, images):
        """The outputs of the convolutions after batch norm and ReLU, in order."""
        found, x = [], images
        for layer in self._body.layers:
            if isinstance(layer, keras.layers.Flatten):
                break
            x = layer(x)
            if isinstance(layer, keras.layers.ReLU):
                found.append(x)
        return found

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.size)
