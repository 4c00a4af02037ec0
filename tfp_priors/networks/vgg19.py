"""The convolutions of VGG19 (Simonyan & Zisserman 2015), for perceptual losses."""

import itertools
import os
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError

# Channels of the convolutions of each block.
_BLOCKS = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)

#: The name of the images themselves, as a layer.
INPUT = "input"

# What Keras Applications subtracts from blue, green and red of 0 to 255.
_BGR_MEANS = (103.939, 116.779, 123.68)


class VGG19Features(Configured, keras.layers.Layer):
    """Images to activations of VGG19, which is never trained.

    Args:
      layers: such as "relu3_1": the first convolution of the third block, after its
        ReLU; "input": the images. The last one that is asked for is the last one that
        is computed.
      weights: "imagenet": those of Keras Applications, downloaded once; a file of
        them, which Keras calls vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5; or
        None: random ones, of which a checkpoint may take the place.

    Call arguments:
      images: float tensor `[batch, height, width, 1 or 3]` in [0, 1].

    Returns:
      A list of activations `[batch, height, width, channels]` in the order of `layers`;
      each block after the first halves height and width.

    Raises:
      UserError: if a layer is unknown or the weights cannot be had.
    """

    def __init__(
        self,
        layers: Sequence[str] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
        weights: str | None = "imagenet",
        **kwargs,
    ):
        # Pixels of 0 to 255 are subtracted from in float32; the convolutions cast.
        super().__init__(trainable=False, autocast=False, **kwargs)
        self.layers = tuple(layers)
        self.weights_source = weights
        known = [
            f"relu{block}_{i}"
            for block, widths in enumerate(_BLOCKS, start=1)
            for i, _ in enumerate(widths, start=1)
        ]
        unknown = [name for name in self.layers if name not in (INPUT, *known)]
        inner = [name for name in self.layers if name in known]
        if unknown or not inner:
            raise UserError(
                f"VGG19Features expects layers among {', '.join(known)}, with or "
                f"without {INPUT}, received "
                f"{', '.join(unknown) or 'none'}."
            )
        needed = 1 + max(map(known.index, inner))
        self._names = known[:needed]
        widths = list(itertools.chain(*_BLOCKS))[:needed]
        self._convolutions = [
            keras.layers.Conv2D(
                width,
                3,
                padding="same",
                activation="relu",
                trainable=False,
                name=name.replace("relu", "block").replace("_", "_conv"),
            )
            for name, width in zip(self._names, widths, strict=True)
        ]

    def _argument(self, name):
        # Not the weights' source: what is saved has them.
        return None if name == "weights" else super()._argument(name)

    def build(self, input_shape=None):
        channels = 3
        for convolution in self._convolutions:
            convolution.build((None, None, None, channels))
            channels = convolution.filters
        if self.weights_source is not None:
            self._load(self.weights_source)
        self.built = True

    def _load(self, source):
        try:
            with tf.init_scope():
                path = os.path.expanduser(source)
                whole = keras.applications.VGG19(include_top=False, weights=path)
        except Exception as error:
            # Keras lets the errors of HDF5 and of the network through.
            if source == "imagenet":
                problem = f"cannot be downloaded ({type(error).__name__})"
            else:
                problem = f"cannot be read from {source} ({type(error).__name__})"
            raise UserError(
                f"VGG19's weights {problem}: get Keras' "
                "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5 from a machine with "
                "a connection and pass --vgg19_weights=FILE."
            ) from error
        for convolution in self._convolutions:
            convolution.set_weights(whole.get_layer(convolution.name).get_weights())

    def call(self, images):
        if images.shape[-1] == 1:
            images = tf.repeat(images, 3, axis=-1)
        x = 255.0 * images[..., ::-1] - tf.constant(_BGR_MEANS)
        found = {INPUT: images}
        for name, convolution in zip(self._names, self._convolutions, strict=True):
            if name.endswith("_1") and name != "relu1_1":
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            x = convolution(x)
            found[name] = x
        return [tf.cast(found[name], tf.float32) for name in self.layers]
