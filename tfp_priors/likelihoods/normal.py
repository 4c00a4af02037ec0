"""The normal likelihood with a fixed or learned variance gamma."""

import math

import keras
import tensorflow as tf

from tfp_priors.errors import check_within
from tfp_priors.likelihoods.likelihood import Likelihood


class NormalLikelihood(Likelihood):
    """p(x|z) = N(sigmoid(outputs), gamma I): the paper's L2 loss, with its scale.

    Args:
      gamma: variance of a pixel about its mean, in squared units of [0, 1]; the
        starting value if it is learned.
      learned: learn one gamma for all pixels (Dai & Wipf 2019).
      gamma_floor: smallest learned gamma; a perfect reconstruction would drive it
        to 0, where the likelihood is infinite.
      squash: False: the outputs are the means already, clipped to [0, 1].
    """

    pixel_levels = 256

    def __init__(
        self,
        gamma: float = 1.0,
        learned: bool = False,
        gamma_floor: float = 1e-6,
        squash: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_within("NormalLikelihood", "(0, inf)", gamma_floor=gamma_floor)
        check_within("NormalLikelihood", f"({gamma_floor}, inf)", gamma=gamma)
        self.gamma = gamma
        self.learned = learned
        self.gamma_floor = gamma_floor
        self.squash = squash

    def build(self, input_shape=None):
        if self.learned:
            self._log_gamma = self.add_weight(
                name="log_gamma",
                shape=(),
                initializer=keras.initializers.Constant(
                    math.log(self.gamma - self.gamma_floor)
                ),
            )
        self.built = True

    @property
    def squashes(self) -> bool:
        """See `Likelihood`."""
        return self.squash

    def variance(self):
        """The present gamma, a scalar."""
        if self.learned:
            return self.gamma_floor + tf.exp(self._log_gamma)
        return tf.constant(self.gamma, tf.float32)

    def log_prob(self, images, outputs):
        gamma = self.variance()
        error = tf.math.squared_difference(images, self.mean(outputs))
        per_pixel = error / gamma + tf.math.log(2.0 * math.pi * gamma)
        return -0.5 * tf.reduce_sum(per_pixel, axis=[1, 2, 3])

    def mean(self, outputs):
        return tf.sigmoid(outputs) if self.squash else tf.clip_by_value(outputs, 0, 1)
