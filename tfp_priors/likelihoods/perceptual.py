"""The perceptual loss as a likelihood (Johnson et al. 2016; Hou et al. 2017)."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.errors import check_within
from tfp_priors.likelihoods.likelihood import Likelihood


class PerceptualLikelihood(Likelihood):
    """Compares images by the activations of a network that is never trained.

        -log p(x|z) = scale * sum_l w_l |phi_l(x) - phi_l(sigmoid(outputs))|^2 / (2 n_l)

    plus a constant that is not known, with n_l = height * width * channels of layer l:
    the feature loss of Hou et al. 2017. With norm = "l1" it is w_l |...|_1 / n_l, that
    of the Variational U-Net (Esser et al. 2018). It stands for nats, but is no density
    of images: likelihoods and bits per dimension cannot be computed from it.

    Args:
      features: layer, images `[batch, height, width, channels]` in [0, 1] to a list of
        activations, such as `networks.VGG19Features` or `networks.ConvActivations`; it
        is itself frozen.
      weights: w_l, one per layer, or None: 1 each.
      scale: factor on all layers.
      norm: "l2", half the squares, or "l1", absolute values.
    """

    is_density = False
    squashes = True

    def __init__(
        self,
        features: keras.layers.Layer,
        weights: Sequence[float] | None = None,
        scale: float = 1.0,
        norm: str = "l2",
        **kwargs,
    ):
        super().__init__(**kwargs)
        weights = None if weights is None else tuple(weights)
        check_within("PerceptualLikelihood", "(0, inf)", scale=scale)
        for weight in weights or ():
            check_within("PerceptualLikelihood", "[0, inf)", weights=weight)
        if norm not in ("l1", "l2"):
            raise UserError(
                f'PerceptualLikelihood expects norm = "l1" or "l2", received {norm!r}.'
            )
        # The loss would have its activations be all alike.
        features.trainable = False
        self.features = features
        self.norm = norm
        self.layer_weights = weights
        self.scale = scale

    def _argument(self, name):
        # Keras' own `weights` are the variables of a layer.
        return self.layer_weights if name == "weights" else super()._argument(name)

    def build(self, input_shape):
        self.features.build(input_shape)
        self.built = True

    def networks(self):
        return [self.features]

    def log_prob(self, images, outputs):
        real = self.features(tf.stop_gradient(images))
        decoded = self.features(self.mean(outputs))
        weights = self.layer_weights or (1.0,) * len(real)
        if len(weights) != len(real):
            raise UserError(
                f"PerceptualLikelihood has {len(weights)} weights for {len(real)} "
                "layers: give one each."
            )
        total = 0.0
        for weight, a, b in zip(weights, real, decoded, strict=True):
            if self.norm == "l1":
                error = tf.abs(a - b)
            else:
                error = 0.5 * tf.math.squared_difference(a, b)
            total += weight * tf.reduce_mean(error, axis=[1, 2, 3])
        return -self.scale * total

    def mean(self, outputs):
        return tf.sigmoid(outputs)
