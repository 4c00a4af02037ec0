"""Diagonal normal posteriors with a learned or a fixed scale."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core.code_shape import LatentSize
from tfp_priors.errors import check_within
from tfp_priors.posteriors.posterior import Posterior

tfd = tfp.distributions


class NormalPosterior(Posterior):
    """q(z|x) = N(mean(x), diag(scale(x)^2)) with scale(x) >= scale_floor.

    Args:
      latent_size: see `Posterior`.
      scale_floor: smallest standard deviation. At beta = 0 nothing else keeps the
        learned scale from collapsing to 0, where log q(z|x) is infinite.

    >>> posterior = NormalPosterior(latent_size=2)
    >>> posterior.build((None, 64))
    >>> q = posterior.distribution(posterior(tf.zeros([5, 64])))
    >>> q.sample(seed=0).shape
    TensorShape([5, 2])
    """

    takes_maps = True

    def __init__(
        self,
        latent_size: LatentSize,
        scale_floor: float = 1e-3,
        **kwargs,
    ):
        super().__init__(latent_size, **kwargs)
        check_within(type(self).__name__, "(0, inf)", scale_floor=scale_floor)
        self.scale_floor = scale_floor

    def _parameters_size(self):
        return 2 * self.latent_size

    def distribution(self, parameters):
        mean, raw_scale = tf.split(parameters, 2, axis=-1)
        # softplus(log(e - 1)) = 1: a head at zero is nearly N(0, I).
        scale = self.scale_floor + tf.nn.softplus(raw_scale + 0.5413248)
        return tfd.MultivariateNormalDiag(loc=mean, scale_diag=scale)

    def code(self, parameters):
        # The mean of TFP's distribution takes an operation that ONNX has not.
        return tf.split(parameters, 2, axis=-1)[0]


class FixedScaleNormalPosterior(Posterior):
    """q(z|x) = N(mean(x), scale^2 I): noise of one known strength on every code.

    Args:
      latent_size: see `Posterior`.
      scale: standard deviation, the same for all codes and dimensions.
      project: see `Posterior`.
    """

    takes_maps = True

    def __init__(
        self,
        latent_size: LatentSize,
        scale: float = 0.1,
        project: bool = True,
        **kwargs,
    ):
        super().__init__(latent_size, project, **kwargs)
        check_within("FixedScaleNormalPosterior", "(0, inf)", scale=scale)
        self.scale = scale

    def distribution(self, parameters):
        return tfd.MultivariateNormalDiag(
            loc=parameters, scale_diag=tf.fill(tf.shape(parameters), self.scale)
        )

    def code(self, parameters):
        return parameters  # As of `NormalPosterior`.
