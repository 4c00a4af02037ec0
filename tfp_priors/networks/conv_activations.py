"""What a classifier sees in images, for perceptual losses where VGG19 does not fit."""

import keras
import tensorflow as tf

from tfp_priors.core.configured import Configured
from tfp_priors.networks.conv_features import ConvFeatures


class ConvActivations(Configured, keras.layers.Layer):
    """Images to the activations of a classifier's body, which is never trained here.

    A network that has learned the labels of the images themselves knows what matters
    in them, even if they are no photographs; and it is small.

    Args:
      network: the body, whose weights come from a trained `Classifier`.

    Call arguments:
      images: float tensor `[batch, height, width, channels]` in [0, 1].

    Returns:
      A list of activations `[batch, height, width, channels]`, float32: of each
      convolution after its batch norm and ReLU, in order.
    """

    def __init__(self, network: ConvFeatures, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.network = network
        network.trainable = False

    def build(self, input_shape=None):
        if not self.network.built:
            self.network.build(input_shape)
        self.built = True

    def call(self, images):
        return [tf.cast(x, tf.float32) for x in self.network.activations(images)]
