"""The InfoGAN networks (Chen et al. 2016) in the form of Lucic et al. 2018.

The paper uses them for MNIST, Fashion-MNIST and CIFAR-10 (section 4.1). The same
widths serve every image size whose height and width are multiples of 4.
"""

from collections.abc import Sequence

import keras

from tfp_priors.core.code_shape import check_vectors
from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError
from tfp_priors.networks.batch_norm import BatchNorm
from tfp_priors.networks.dense import Dense
from tfp_priors.networks.spectral_normalization import SpectralNormalization

_LEAK = 0.2


def _initializer():
    return keras.initializers.RandomNormal(stddev=0.02)


def _check_image_shape(image_shape: Sequence[int]) -> tuple[int, int, int]:
    shape = tuple(int(n) for n in image_shape)
    if len(shape) != 3 or min(shape) < 1 or shape[0] % 4 or shape[1] % 4:
        raise UserError(
            "InfoGAN networks expect image_shape (height, width, channels) with "
            f"height and width multiples of 4, received {tuple(image_shape)}. "
            "Set IMAGE_SHAPE, or prepare the images at another size."
        )
    return shape


class InfoGANEncoder(Configured, keras.layers.Layer):
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
        self.image_shape = _check_image_shape(image_shape)
        self.width = width
        self._body = keras.Sequential(
            [
                keras.layers.Conv2D(
                    width,
                    4,
                    strides=2,
                    padding="same",
                    kernel_initializer=_initializer(),
                ),
                keras.layers.LeakyReLU(_LEAK),
                keras.layers.Conv2D(
                    2 * width,
                    4,
                    strides=2,
                    padding="same",
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

    def build(self, input_shape=None):
        self._body.build((None, *self.image_shape))
        self.built = True

    def call(self, images, training=False):
        return self._body(images, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 16 * self.width)


class InfoGANDecoder(Configured, keras.layers.Layer):
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
        self.image_shape = _check_image_shape(image_shape)
        self.width = width
        self.spectral_normalization = spectral_normalization

        def normalized(layer):
            return SpectralNormalization(layer) if spectral_normalization else layer

        height, image_width, channels = self.image_shape
        grid = (height // 4, image_width // 4, 2 * width)
        self._body = keras.Sequential(
            [
                normalized(
                    Dense(16 * width, use_bias=False, kernel_initializer=_initializer())
                ),
                BatchNorm(),
                keras.layers.ReLU(),
                normalized(
                    Dense(
                        grid[0] * grid[1] * grid[2],
                        use_bias=False,
                        kernel_initializer=_initializer(),
                    )
                ),
                BatchNorm(),
                keras.layers.ReLU(),
                keras.layers.Reshape(grid),
                normalized(
                    keras.layers.Conv2DTranspose(
                        width,
                        4,
                        strides=2,
                        padding="same",
                        use_bias=False,
                        kernel_initializer=_initializer(),
                    )
                ),
                BatchNorm(),
                keras.layers.ReLU(),
                normalized(
                    keras.layers.Conv2DTranspose(
                        channels,
                        4,
                        strides=2,
                        padding="same",
                        kernel_initializer=_initializer(),
                    )
                ),
            ],
            name="body",
        )

    def build(self, input_shape):
        check_vectors(type(self).__name__, input_shape)
        self._body.build((None, input_shape[-1]))
        self.built = True

    def call(self, z, training=False):
        return self._body(z, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.image_shape)
