"""The InfoGAN networks (Chen et al. 2016) in the form of Lucic et al. 2018.

The paper uses them for MNIST, Fashion-MNIST and CIFAR-10 (section 4.1). The same
widths serve every image size whose height and width are multiples of 4.
"""

import math
from collections.abc import Sequence

import keras

from tfp_priors.networks.batch_norm import BatchNorm
from tfp_priors.networks.body import BodyDecoder
from tfp_priors.networks.body import BodyEncoder
from tfp_priors.networks.convolution import convolution
from tfp_priors.networks.dense import Dense
from tfp_priors.networks.residual import halved_shape
from tfp_priors.networks.spectral_normalization import SpectralNormalization

_LEAK = 0.2


def _initializer():
    return keras.initializers.RandomNormal(stddev=0.02)


class InfoGANEncoder(BodyEncoder):
    """Images to features: two strided convolutions and a dense layer.

    conv 4x4/2 64, leaky ReLU; conv 4x4/2 128, batch norm, leaky ReLU;
    dense 1024, batch norm, leaky ReLU. A posterior's head follows.

    Args:
      image_shape: `(height, width, channels)` of the images.
      width: channels of the first convolution; the others scale with it.

    Call arguments:
      images: float tensor of shape `[batch, height, width, channels]` in [0, 1].
      training: use and update batch statistics.

    Returns:
      Features of shape `[batch, 16 * width]`.
    """

    def __init__(self, image_shape: Sequence[int], width: int = 64, **kwargs):
        super().__init__(**kwargs)
        self.image_shape = halved_shape(image_shape, 2, type(self).__name__)
        self.width = width
        self._body = keras.Sequential(
            [
                convolution(width, 4, strides=2, kernel_initializer=_initializer()),
                keras.layers.LeakyReLU(_LEAK),
                convolution(
                    2 * width,
                    4,
                    strides=2,
                    use_bias=False,
                    kernel_initializer=_initializer(),
                ),
                BatchNorm(),
                keras.layers.LeakyReLU(_LEAK),
                keras.layers.Flatten(),
                Dense(16 * width, use_bias=False, kernel_initializer=_initializer()),
                BatchNorm(),
                keras.layers.LeakyReLU(_LEAK),
            ],
            name="body",
        )

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 16 * self.width)


class InfoGANDecoder(BodyDecoder):
    """Codes to likelihood parameters: the encoder's mirror image.

    dense 1024, batch norm, ReLU; dense 128 (h/4) (w/4), batch norm, ReLU;
    deconv 4x4/2 64, batch norm, ReLU; deconv 4x4/2 to the image's channels.

    Args:
      image_shape: `(height, width, channels)` of the images.
      width: channels of the last hidden layer; the others scale with it.
      spectral_normalization: divide each kernel by its largest singular value, the
        regulariser of RAE-SN (Ghosh et al. 2020).

    Call arguments:
      z: float tensor of shape `[batch, latent_size]`.
      training: use and update batch statistics.

    Returns:
      Unbounded outputs of shape `[batch, height, width, channels]`; a likelihood
      turns them into a distribution of images.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        width: int = 64,
        spectral_normalization: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = halved_shape(image_shape, 2, type(self).__name__)
        self.width = width
        self.spectral_normalization = spectral_normalization

        def layer(kind, *args, **kwargs):
            made = kind(*args, kernel_initializer=_initializer(), **kwargs)
            return SpectralNormalization(made) if spectral_normalization else made

        up = {"strides": 2, "padding": "same"}
        height, image_width, channels = self.image_shape
        grid = (height // 4, image_width // 4, 2 * width)
        self._body = keras.Sequential(
            [
                layer(Dense, 16 * width, use_bias=False),
                BatchNorm(),
                keras.layers.ReLU(),
                layer(Dense, math.prod(grid), use_bias=False),
                BatchNorm(),
                keras.layers.ReLU(),
                keras.layers.Reshape(grid),
                layer(keras.layers.Conv2DTranspose, width, 4, use_bias=False, **up),
                BatchNorm(),
                keras.layers.ReLU(),
                layer(keras.layers.Conv2DTranspose, channels, 4, **up),
            ],
            name="body",
        )
